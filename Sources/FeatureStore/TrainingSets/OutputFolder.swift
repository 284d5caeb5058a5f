internal import Columnar
internal import FileFormats
internal import Storage

/// Parquet files in a folder, which is made beside its place and renamed as a whole.
///
///     set/part-00000.parquet, set/part-00001.parquet            by numbers of rows
///     set/year=2013/month=1/part-00000.parquet                  by values of columns
///
/// Within each file the rows are in the spine's order.
final class OutputFolder: OutputSink {
  /// Files that may be open at a time: each holds rows until a row group is complete.
  static let maximumPartitions = 1000
  private static let partitionRowGroupRows = 1 << 17
  /// How such folders spell null.
  private static let nothing = "__HIVE_DEFAULT_PARTITION__"

  private final class Part {
    let folder: String
    var writer: FormatWriter?
    var name = ""
    var rowCount = 0
    var fileCount = 0

    init(folder: String) { self.folder = folder }
  }

  private let fileSystem: any FileSystem
  private let path: String
  private let temporary: String
  private let replacing: Bool
  private let isHashed: Bool
  private let rowsPerFile: Int
  /// Which columns part the rows, and which are in the files.
  private let partitionFields: [Int]
  private let fileFields: [Int]
  private let schema: Schema
  /// By folder.
  private var parts: [String: Part] = [:]
  private var files: [TrainingSetFile] = []

  init(
    _ path: String, _ layout: TrainingSetFolder, schema: Schema, replacing: Bool, isHashed: Bool,
    fileSystem: any FileSystem
  ) throws {
    if let rows = layout.rowsPerFile, rows < 1 {
      throw FeatureStoreError(.invalidArgument, "a file has at least one row, not \(rows)")
    }
    partitionFields = try layout.partitionColumns.map { name in
      guard let index = schema.index(of: name) else {
        throw Registry.unknown("column to partition by", name, among: schema.fields.map(\.name))
      }
      switch schema.fields[index].type {
      case .boolean, .int32, .int64, .string, .date, .timestamp: return index
      case let type:
        throw FeatureStoreError(
          .invalidArgument, "'\(name)' is \(type), which training sets cannot be partitioned by")
      }
    }
    let partitionFields = partitionFields
    fileFields = schema.fields.indices.filter { !partitionFields.contains($0) }
    guard Set(partitionFields).count == partitionFields.count, !fileFields.isEmpty else {
      throw FeatureStoreError(
        .invalidArgument, "a training set cannot be partitioned by all its columns, or by one twice"
      )
    }
    self.fileSystem = fileSystem
    self.path = path
    self.replacing = replacing
    self.isHashed = isHashed
    self.schema = schema
    rowsPerFile = layout.rowsPerFile ?? .max
    temporary = StoragePath.temporary(beside: path)
    try fileSystem.createDirectory(temporary, withIntermediates: true)
    // Without rows there is one file all the same, which has the columns.
    if partitionFields.isEmpty { try begin(part("")) }
  }

  func write(_ batch: RecordBatch) throws {
    let kept = RecordBatch(
      schema: Schema(fileFields.map { schema.fields[$0] }),
      columns: fileFields.map { batch.columns[$0] }, rowCount: batch.rowCount)
    guard !partitionFields.isEmpty else { return try write(kept, to: part("")) }
    var rows: [String: [Int]] = [:]
    var order: [String] = []
    for row in 0..<batch.rowCount {
      let folder = folder(batch, row)
      if rows[folder, default: []].isEmpty { order.append(folder) }
      rows[folder, default: []].append(row)
    }
    for folder in order {
      try write(kept.take(rows[folder] ?? []), to: part(folder))
    }
  }

  private func folder(_ batch: RecordBatch, _ row: Int) -> String {
    partitionFields.map { index in
      let column = batch.columns[index]
      let value =
        column.isNull(row)
        ? Self.nothing : Self.escaped(ValueText.text(column, row))
      return "\(Self.escaped(schema.fields[index].name))=\(value)"
    }.joined(separator: "/")
  }

  /// What is no letter, digit or harmless sign becomes `%` and two digits, as readers of such folders undo it.
  private static func escaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      let isPlain =
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10
        || "_-. ".utf8.contains(byte)
      if isPlain {
        bytes.append(byte)
      } else {
        let digits = Array(String(byte, radix: 16, uppercase: true).utf8)
        bytes.append(UInt8(ascii: "%"))
        if digits.count == 1 { bytes.append(UInt8(ascii: "0")) }
        bytes += digits
      }
    }
    // Hive's convention knows no empty text.
    return bytes.isEmpty ? nothing : String(decoding: bytes, as: UTF8.self)
  }

  private func part(_ folder: String) throws -> Part {
    if let part = parts[folder] { return part }
    guard parts.count < Self.maximumPartitions else {
      throw FeatureStoreError(
        .invalidArgument,
        "more than \(Self.maximumPartitions) partitions: partition by columns of fewer values")
    }
    if !folder.isEmpty {
      try fileSystem.createDirectory(
        StoragePath.join(temporary, folder), withIntermediates: true)
    }
    let part = Part(folder: folder)
    parts[folder] = part
    return part
  }

  private func write(_ batch: RecordBatch, to part: Part) throws {
    var row = 0
    while row < batch.rowCount {
      if part.rowCount == rowsPerFile { try end(part) }
      if part.writer == nil { try begin(part) }
      let end = min(batch.rowCount, row + (rowsPerFile - part.rowCount))
      try part.writer?.write(batch.slice(row..<end))
      part.rowCount += end - row
      row = end
    }
  }

  private func begin(_ part: Part) throws {
    let number = String(part.fileCount)
    let name = "part-" + String(repeating: "0", count: max(0, 5 - number.count)) + number
    part.name = (part.folder.isEmpty ? "" : part.folder + "/") + name + ".parquet"
    let file = try fileSystem.open(StoragePath.join(temporary, part.name), .create)
    part.writer = FormatWriter(
      file, .parquet, schema: Schema(fileFields.map { schema.fields[$0] }),
      rowGroupRows: partitionFields.isEmpty
        ? FormatWriter.rowGroupRows : Self.partitionRowGroupRows,
      isHashed: isHashed)
    part.rowCount = 0
    part.fileCount += 1
  }

  private func end(_ part: Part) throws {
    guard let writer = part.writer else { return }
    part.writer = nil
    let (size, hash) = try writer.finish()
    files.append(TrainingSetFile(name: part.name, sizeBytes: size, sha256: hash))
  }

  func seal() throws -> [TrainingSetFile] {
    var folders: Set<String> = [temporary]
    for part in parts.values {
      try end(part)
      var folder = StoragePath.join(temporary, part.folder)
      while !part.folder.isEmpty, folders.insert(folder).inserted {
        folder = StoragePath.directory(of: folder)
      }
    }
    for folder in folders { try fileSystem.synchronizeDirectory(folder) }
    return files.sorted { $0.name < $1.name }
  }

  func publish() throws {
    var old: String?
    if replacing, try fileSystem.information(path) != nil {
      // There is no way to replace a folder in one step: for a moment there is none.
      let aside = StoragePath.temporary(beside: path, suffix: "old")
      try fileSystem.rename(path, to: aside, replacing: false)
      old = aside
    }
    try fileSystem.rename(temporary, to: path, replacing: false)
    try fileSystem.synchronizeDirectory(StoragePath.directory(of: path))
    if let old { try fileSystem.removeTree(old) }
  }

  func abandon() {
    do {
      for part in parts.values { try part.writer?.close() }
      try fileSystem.removeTree(temporary)
    } catch {}
  }

  /// Throws unless the folder has nothing but what such an output has: nobody loses a folder of other things.
  static func requireReplaceable(_ path: String, _ fileSystem: any FileSystem) throws {
    for name in try fileSystem.contentsOfDirectory(path) {
      let inner = StoragePath.join(path, name)
      if try fileSystem.information(inner)?.isDirectory == true, name.contains("=") {
        try requireReplaceable(inner, fileSystem)
      } else if !(name.hasPrefix("part-") && name.hasSuffix(".parquet")) {
        throw FeatureStoreError(
          .alreadyExists,
          "'\(path)' has '\(name)' in it, which is no file of a training set: it is not replaced")
      }
    }
  }
}
