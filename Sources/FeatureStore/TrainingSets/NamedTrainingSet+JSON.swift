internal import FeatureModel
public import JSON

extension NamedTrainingSet {
  static let formatVersion: Int64 = 1

  /// The definition as docs/file-formats.md describes it, without the checksum.
  public var json: JSONValue {
    let sorted = snapshots.sorted { $0.key < $1.key }
    return [
      "format_version": .integer(Self.formatVersion), "name": .string(name),
      "created_microseconds": .integer(createdMicroseconds), "made_by": .string(madeBy),
      "is_complete": .bool(isComplete), "spine": request.spine.json,
      "time_column": .string(request.timeColumn),
      "time_columns": JSONValue(request.timeColumns),
      "view": request.view.map { .string($0) } ?? .null,
      "features": .array(features.map(\.json)), "key_columns": JSONValue(request.keyColumns),
      "visibility": .string(request.visibility.rawValue), "is_strict": .bool(request.isStrict),
      "excludes_late": .bool(request.excludesLate),
      "data_delays_microseconds": .object(
        JSONObject(
          request.dataDelays.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
      "split": request.split?.json ?? .null, "output": request.output.json,
      "snapshots": .object(
        JSONObject(sorted.map { ($0.key, $0.value.map { .integer($0) } ?? .null) })),
      "rows": .integer(Int64(rowCount)), "columns": .integer(Int64(columnCount)),
      "files": .array(
        files.map {
          [
            "name": .string($0.name), "bytes": .integer($0.sizeBytes),
            "sha256": $0.sha256.map { .string($0) } ?? .null,
          ]
        }),
      "sha256": sha256.map { .string($0) } ?? .null,
    ]
  }

  init(json: JSONValue, path: String) throws(FeatureStoreError) {
    let reader = DefinitionReader(json: json, path: path)
    let version = try reader.integer("format_version")
    guard version <= Self.formatVersion else {
      throw FeatureStoreError(
        .notAStore,
        "'\(path)' has format version \(version); this fstore reads up to \(Self.formatVersion)")
    }
    var request = TrainingSetRequest(
      spine: try TrainingSetRequest.Spine(reader.inner("spine")),
      timeColumn: try reader.text("time_column"),
      output: try TrainingSetOutput(reader.inner("output")))
    request.timeColumns = try reader.texts("time_columns")
    request.view = json["view"]?.stringValue
    request.keyColumns = try reader.texts("key_columns")
    guard
      let visibility = TrainingSetRequest.Visibility(rawValue: try reader.text("visibility"))
    else { throw reader.damaged("visibility") }
    request.visibility = visibility
    request.isStrict = try reader.flag("is_strict")
    request.excludesLate = try reader.flag("excludes_late")
    for (group, value) in (json["data_delays_microseconds"]?.objectValue ?? [:]).members {
      guard let delay = value.int64Value else { throw reader.damaged("data_delays_microseconds") }
      request.dataDelays[group] = delay
    }
    if json["split"] != nil, json["split"] != .null {
      request.split = try TrainingSetSplit(reader.inner("split"))
    }
    var features: [FeatureReference] = []
    for element in try reader.elements("features") {
      do { features.append(try FeatureReference(json: element)) } catch {
        throw FeatureStoreError(error)
      }
    }
    var snapshots: [String: Int64?] = [:]
    for (group, value) in (json["snapshots"]?.objectValue ?? [:]).members {
      guard value == .null || value.int64Value != nil else { throw reader.damaged("snapshots") }
      snapshots.updateValue(value.int64Value, forKey: group)
    }
    var files: [TrainingSetFile] = []
    for element in try reader.elements("files") {
      let file = DefinitionReader(json: element, path: path)
      files.append(
        TrainingSetFile(
          name: try file.text("name"), sizeBytes: try file.integer("bytes"),
          sha256: element["sha256"]?.stringValue))
    }
    self.init(
      name: try reader.text("name"),
      createdMicroseconds: try reader.integer("created_microseconds"),
      madeBy: try reader.text("made_by"), isComplete: try reader.flag("is_complete"),
      request: request, features: features, snapshots: snapshots,
      rowCount: Int(try reader.integer("rows")), columnCount: Int(try reader.integer("columns")),
      files: files)
  }
}

/// One object of a definition: members that must be there.
private struct DefinitionReader {
  let json: JSONValue
  let path: String

  func damaged(_ key: String) -> FeatureStoreError {
    FeatureStoreError(.corrupt, "'\(path)' is damaged: '\(key)' is missing or wrong")
  }

  func text(_ key: String) throws(FeatureStoreError) -> String {
    guard let value = json[key]?.stringValue else { throw damaged(key) }
    return value
  }

  func integer(_ key: String) throws(FeatureStoreError) -> Int64 {
    guard let value = json[key]?.int64Value else { throw damaged(key) }
    return value
  }

  func flag(_ key: String) throws(FeatureStoreError) -> Bool {
    guard let value = json[key]?.boolValue else { throw damaged(key) }
    return value
  }

  func elements(_ key: String) throws(FeatureStoreError) -> [JSONValue] {
    guard let value = json[key]?.arrayValue else { throw damaged(key) }
    return value
  }

  func textElements(_ key: String) throws(FeatureStoreError) -> [String] {
    var texts: [String] = []
    for element in try elements(key) {
      guard let text = element.stringValue else { throw damaged(key) }
      texts.append(text)
    }
    return texts
  }

  func integerElements(_ key: String) throws(FeatureStoreError) -> [Int64] {
    var numbers: [Int64] = []
    for element in try elements(key) {
      guard let number = element.int64Value else { throw damaged(key) }
      numbers.append(number)
    }
    return numbers
  }

  func texts(_ key: String) throws(FeatureStoreError) -> [String: String] {
    var texts: [String: String] = [:]
    for (name, value) in (json[key]?.objectValue ?? [:]).members {
      guard let text = value.stringValue else { throw damaged(key) }
      texts[name] = text
    }
    return texts
  }

  func inner(_ key: String) throws(FeatureStoreError) -> DefinitionReader {
    guard let value = json[key], value.objectValue != nil else { throw damaged(key) }
    return DefinitionReader(json: value, path: path)
  }
}

extension TrainingSetRequest.Spine {
  fileprivate var json: JSONValue {
    func texts(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
    return switch self {
    case .files(let paths): ["kind": "files", "files": texts(paths)]
    case .batches: ["kind": "files", "files": .array([])]
    case .group(let name, let filter, let features):
      [
        "kind": "group", "group": .string(name), "filter": filter.map { .string($0) } ?? .null,
        "features": texts(features),
      ]
    case .allKeys(let groups, let moments):
      [
        "kind": "all_keys", "groups": texts(groups),
        "at_microseconds": .array(moments.map { .integer($0) }),
      ]
    case .changes(let groups, let from, let to):
      [
        "kind": "changes", "groups": texts(groups), "from_microseconds": .integer(from),
        "to_microseconds": .integer(to),
      ]
    }
  }

  fileprivate init(_ reader: DefinitionReader) throws(FeatureStoreError) {
    switch try reader.text("kind") {
    case "files":
      let names = try reader.textElements("files")
      // Copies lie in the training set's folder and nowhere else.
      guard names.allSatisfy({ $0.hasPrefix("spine/") && !$0.contains("..") }) else {
        throw reader.damaged("files")
      }
      self = .files(names)
    case "group":
      self = .group(
        try reader.text("group"), filter: reader.json["filter"]?.stringValue,
        features: try reader.textElements("features"))
    case "all_keys":
      self = .allKeys(
        of: try reader.textElements("groups"), at: try reader.integerElements("at_microseconds"))
    case "changes":
      self = .changes(
        of: try reader.textElements("groups"), from: try reader.integer("from_microseconds"),
        to: try reader.integer("to_microseconds"))
    default: throw reader.damaged("kind")
    }
  }
}

extension TrainingSetSplit {
  fileprivate var json: JSONValue {
    switch self {
    case .byKey(let columns, let shares, let seed):
      [
        "kind": "by_key", "columns": .array(columns.map { .string($0) }),
        // As text, which is exact.
        "shares": .array(
          shares.map { ["name": .string($0.name), "share": .string($0.share.description)] }),
        "seed": .integer(Int64(seed)),
      ]
    case .byTime(let cuts):
      ["kind": "by_time", "at_microseconds": .array(cuts.map { .integer($0) })]
    }
  }

  fileprivate init(_ reader: DefinitionReader) throws(FeatureStoreError) {
    switch try reader.text("kind") {
    case "by_key":
      var shares: [Share] = []
      for element in try reader.elements("shares") {
        guard let name = element["name"]?.stringValue,
          let share = element["share"]?.stringValue.flatMap({ Double($0) })
        else { throw reader.damaged("shares") }
        shares.append(Share(name: name, share: share))
      }
      guard let seed = UInt32(exactly: try reader.integer("seed")) else {
        throw reader.damaged("seed")
      }
      self = .byKey(columns: try reader.textElements("columns"), shares: shares, seed: seed)
    case "by_time": self = .byTime(try reader.integerElements("at_microseconds"))
    default: throw reader.damaged("kind")
    }
  }
}

extension TrainingSetOutput {
  fileprivate var json: JSONValue {
    switch self {
    case .file(let path): ["kind": "file", "path": .string(path)]
    case .folder(let path, let layout):
      [
        "kind": "folder", "path": .string(path),
        "partition_columns": .array(layout.partitionColumns.map { .string($0) }),
        "rows_per_file": layout.rowsPerFile.map { .integer(Int64($0)) } ?? .null,
      ]
    case .standardOutput(let format):
      ["kind": "standard_output", "format": .string("\(format)")]
    }
  }

  fileprivate init(_ reader: DefinitionReader) throws(FeatureStoreError) {
    switch try reader.text("kind") {
    case "file": self = .file(try reader.text("path"))
    case "folder":
      self = .folder(
        try reader.text("path"),
        TrainingSetFolder(
          partitionColumns: try reader.textElements("partition_columns"),
          rowsPerFile: reader.json["rows_per_file"]?.int64Value.map { Int($0) }))
    case "standard_output":
      let name = try reader.text("format")
      guard let format = RowFormat.allCases.first(where: { "\($0)" == name }) else {
        throw reader.damaged("format")
      }
      self = .standardOutput(format)
    default: throw reader.damaged("kind")
    }
  }
}

extension JSONValue {
  fileprivate init(_ texts: [String: String]) {
    self = .object(
      JSONObject(texts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
  }
}
