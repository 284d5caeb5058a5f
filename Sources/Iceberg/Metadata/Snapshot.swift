public import JSON

/// What kind of change a snapshot made.
public enum SnapshotOperation: Hashable, Sendable {
  /// Only data files were added.
  case append
  /// Files were replaced without changing the rows: compaction.
  case replace
  /// Rows were changed: files added and removed, or delete files added.
  case overwrite
  /// Only files or rows were removed.
  case delete
  /// A word that we do not know: kept, and treated like `overwrite`.
  case other(String)

  public init(text: String) {
    switch text {
    case "append": self = .append
    case "replace": self = .replace
    case "overwrite": self = .overwrite
    case "delete": self = .delete
    default: self = .other(text)
    }
  }

  public var text: String {
    switch self {
    case .append: "append"
    case .replace: "replace"
    case .overwrite: "overwrite"
    case .delete: "delete"
    case .other(let text): text
    }
  }
}

/// The state of a table at one time: which manifests, and so which files, it has.
public struct Snapshot: Hashable, Sendable {
  public var snapshotID: Int64
  public var parentSnapshotID: Int64?
  /// 0 in tables of format version 1.
  public var sequenceNumber: Int64
  /// Milliseconds since 1970.
  public var timestampMilliseconds: Int64
  /// The location of the manifest list; nil only in snapshots of format version 1, which may have
  /// `manifests`.
  public var manifestList: String?
  /// The locations of the manifests, where there is no manifest list.
  public var manifests: [String]
  /// nil only where format version 1 left out the summary.
  public var operation: SnapshotOperation?
  /// Counts and what writers add, without `operation`.
  public var summary: [String: String]
  /// The current schema when the snapshot was made.
  public var schemaID: Int32?
  /// Format version 3: the first row id that the snapshot assigned, and how many at most.
  public var firstRowID: Int64?
  public var addedRows: Int64?
  public var keyID: String?

  public init(
    snapshotID: Int64, parentSnapshotID: Int64?, sequenceNumber: Int64,
    timestampMilliseconds: Int64, manifestList: String, operation: SnapshotOperation,
    summary: [String: String] = [:], schemaID: Int32?
  ) {
    self.snapshotID = snapshotID
    self.parentSnapshotID = parentSnapshotID
    self.sequenceNumber = sequenceNumber
    self.timestampMilliseconds = timestampMilliseconds
    self.manifestList = manifestList
    manifests = []
    self.operation = operation
    self.summary = summary
    self.schemaID = schemaID
  }
}

// The wire form.
extension Snapshot {
  init(json: JSONValue, formatVersion: Int) throws(IcebergError) {
    snapshotID = try json.requiredInt64("snapshot-id")
    parentSnapshotID = try json.optionalInt64("parent-snapshot-id")
    sequenceNumber =
      formatVersion == 1
      ? 0 : try json.optionalInt64("sequence-number") ?? 0
    timestampMilliseconds = try json.requiredInt64("timestamp-ms")
    manifestList = try json.optionalString("manifest-list")
    manifests = []
    if manifestList == nil {
      // Old snapshots keep the form of version 1 when their table is upgraded.
      guard formatVersion == 1 || json.optional("manifests") != nil else {
        throw IcebergError(.invalidMetadata, "'manifest-list' is missing")
      }
      manifests = try json.stringArray("manifests")
    }
    summary = try json.stringMap("summary")
    if formatVersion > 1, summary["operation"] == nil, json.optional("summary") != nil {
      throw IcebergError(.invalidMetadata, "'operation' is missing")
    }
    operation = summary.removeValue(forKey: "operation").map { SnapshotOperation(text: $0) }
    schemaID = try json.optionalInt32("schema-id")
    firstRowID = try json.optionalInt64("first-row-id")
    addedRows = try json.optionalInt64("added-rows")
    keyID = try json.optionalString("key-id")
    guard sequenceNumber >= 0 else {
      throw IcebergError(.invalidMetadata, "'sequence-number' must not be negative")
    }
  }

  /// The snapshot as table metadata has it.
  public func json(formatVersion: Int) -> JSONValue {
    var object = JSONObject()
    if formatVersion > 1 { object["sequence-number"] = .integer(sequenceNumber) }
    object["snapshot-id"] = .integer(snapshotID)
    if let parentSnapshotID { object["parent-snapshot-id"] = .integer(parentSnapshotID) }
    object["timestamp-ms"] = .integer(timestampMilliseconds)
    // Only version 1 may say something of a snapshot without naming its operation.
    if operation != nil || (formatVersion == 1 && !summary.isEmpty) {
      var members = JSONObject()
      if let operation { members["operation"] = .string(operation.text) }
      for (key, value) in summary.sorted(by: { $0.key < $1.key }) { members[key] = .string(value) }
      object["summary"] = .object(members)
    }
    if let manifestList {
      object["manifest-list"] = .string(manifestList)
    } else {
      object["manifests"] = .array(manifests.map { .string($0) })
    }
    if let schemaID { object["schema-id"] = .integer(Int64(schemaID)) }
    if let firstRowID { object["first-row-id"] = .integer(firstRowID) }
    if let addedRows { object["added-rows"] = .integer(addedRows) }
    if let keyID { object["key-id"] = .string(keyID) }
    return .object(object)
  }
}
