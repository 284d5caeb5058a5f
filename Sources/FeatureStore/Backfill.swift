internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// How a table remembers a file that was appended to it: a property with the file's name, size and checksum in
/// its own name, set in the commit that brings the rows. Its value is the range of their LSNs.
struct BackfillNote {
  private static let prefix = "fstore.backfill."
  static let summaryProperty = "fstore.backfill-lsns"

  let property: String

  init(path: String, _ file: any File) throws(StorageError) {
    var checksum = CRC32C()
    var offset: Int64 = 0
    while true {
      let bytes = try file.read(count: 1 << 20, at: offset)
      if bytes.isEmpty { break }
      checksum.update(bytes.rawSpan)
      offset += Int64(bytes.count)
    }
    let digits = String(checksum.value, radix: 16)
    property = "\(Self.prefix)\(StoragePath.lastComponent(of: path)).\(offset).\(digits)"
  }

  static func text(_ lsns: ClosedRange<Int64>) -> String {
    "\(lsns.lowerBound)-\(lsns.upperBound)"
  }

  private static func lsns(_ text: String) -> ClosedRange<Int64>? {
    let parts = text.split(separator: "-").compactMap { Int64($0) }
    guard parts.count == 2, parts[0] <= parts[1] else { return nil }
    return parts[0]...parts[1]
  }

  /// The LSNs of the file's rows, if the table has them.
  func lsns(in metadata: TableMetadata) -> ClosedRange<Int64>? {
    metadata.properties[property].flatMap { Self.lsns($0) }
  }

  /// The last LSN that any file's rows have; 0 for none.
  static func lastLSN(in metadata: TableMetadata) -> Int64 {
    metadata.properties.reduce(0) { last, member in
      guard member.key.hasPrefix(prefix), let lsns = lsns(member.value) else { return last }
      return max(last, lsns.upperBound)
    }
  }
}

/// One file on its way into a table.
struct Backfill {
  private let store: FeatureStore
  private let group: FeatureGroup
  private let table: Table
  private let log: OnlineStore
  private let source: IngestSource
  private let options: IngestOptions
  private let encoder: RecordEncoder
  private let writer: DataFileWriter
  private var report = IngestReport()

  /// Rows that get their LSNs together.
  private static let rowLimit = 65_536

  init(
    store: FeatureStore, group: FeatureGroup, table: Table, log: OnlineStore,
    source: IngestSource, options: IngestOptions
  ) throws {
    self.store = store
    self.group = group
    self.table = table
    self.log = log
    self.source = source
    self.options = options
    encoder = RecordEncoder(group)
    writer = try DataFileWriter(table)
  }

  mutating func run(
    _ note: BackfillNote, repeats: Bool, _ progress: (IngestProgress) -> Void
  ) throws -> IngestReport {
    var files: [DataFile] = []
    do {
      while !report.wasStopped, let batch = try source.next() {
        try add(batch)
        progress(
          IngestProgress(
            acceptedCount: report.acceptedCount, refusedCount: report.refusedCount,
            bytesRead: source.file.bytesRead, totalBytes: source.totalBytes))
      }
      if !report.wasStopped { files = try writer.finish() }
    } catch {
      writer.abandon()
      throw error
    }
    guard !files.isEmpty, let first = report.firstLSN, let last = report.lastLSN else {
      writer.abandon()
      report.acceptedCount = 0
      (report.firstLSN, report.lastLSN) = (nil, nil)
      return report
    }
    try commit(files, note, first...last, repeats: repeats)
    return report
  }

  private mutating func add(_ batch: TabularBatch) throws {
    var refused = batch.errors.map {
      RefusedRow(line: $0.line, column: $0.column, value: $0.value, message: $0.message)
    }
    let count = batch.batch.rowCount
    for start in stride(from: 0, to: count, by: Self.rowLimit) {
      let rows = start..<min(start + Self.rowLimit, count)
      let encoded = encoder.encode(batch.batch.slice(rows).columns, rowCount: rows.count)
      refused += encoded.refusals.map { refusal in
        RefusedRow(
          line: batch.lineNumbers[start + refusal.row], column: refusal.error.column,
          message: refusal.error.message)
      }
      if options.onError == .skip || refused.isEmpty { try write(encoded) }
    }
    refused.sort { ($0.line ?? 0) < ($1.line ?? 0) }
    guard let first = refused.first else { return }
    switch options.onError {
    case .skip:
      report.refusedCount += refused.count
      report.refusedRows += refused.prefix(
        max(0, options.maximumReportedRows - report.refusedRows.count))
    case .stop:
      report.refusedCount = 1
      report.refusedRows = [first]
      report.wasStopped = true
    }
  }

  private mutating func write(_ encoded: RecordEncoder.Encoded) throws {
    let count = encoded.eventTimes.count - encoded.refusals.count
    guard count > 0 else { return }
    let lsns: ClosedRange<Int64>
    do { lsns = try log.log.reserve(Int64(count)) } catch { throw store.refusal(.log(error)) }
    let writeTime = store.clock.nowMicroseconds()
    let refused = Set(encoded.refusals.map(\.row))
    var gathered = OfflineRows(group)
    for row in encoded.eventTimes.indices where !refused.contains(row) {
      let entry = LogEntry(
        .put, groupID: group.id, schemaVersion: group.version, eventTime: encoded.eventTimes[row],
        writeTime: writeTime, key: encoded.keys.array(row), row: encoded.rows.array(row))
      gathered.append(StoredEntry(lsn: lsns.lowerBound + Int64(gathered.count), entry: entry))
    }
    try writer.write(gathered.batch(table.schema))
    report.acceptedCount += count
    report.firstLSN = report.firstLSN ?? lsns.lowerBound
    report.lastLSN = lsns.upperBound
  }

  /// The rows and the note of them, in one commit.
  private func commit(
    _ files: [DataFile], _ note: BackfillNote, _ lsns: ClosedRange<Int64>, repeats: Bool
  ) throws {
    let (storeID, group) = (store.storeID, group)
    var append = table.newAppend(files)
    append.setProperties([note.property: BackfillNote.text(lsns)])
    append.summary = [
      BackfillNote.summaryProperty: BackfillNote.text(lsns), OfflinePosition.storeProperty: storeID,
    ]
    append.validate { metadata throws(IcebergError) in
      try OfflinePosition.check(metadata, storeID: storeID, group: group)
      guard repeats || note.lsns(in: metadata) == nil else {
        throw IcebergError(
          .validationFailed, "the table of '\(group.name)' got this file from somebody else")
      }
    }
    do {
      _ = try append.commit()
    } catch {
      // Unless it is proven not to have happened, something may refer to the files.
      if error.kind != .commitStateUnknown { table.io.deleteAll(files.map(\.path)) }
      throw error
    }
  }
}
