internal import Storage
internal import WriteAheadLog

/// Records to write together, atomically: encoded as they will lie in the log, nothing allocated per
/// record.
public struct WriteBatch: Sendable {
  private(set) var records = LogRecords()
  /// What the entries take in the log, without the log's own headers.
  public private(set) var sizeBytes = 0
  private(set) var longestKeyBytes = 0

  public init() {}

  public init(_ entries: [LogEntry]) {
    for entry in entries { append(entry) }
  }

  public var count: Int { records.count }
  public var isEmpty: Bool { records.count == 0 }

  /// Makes room for so many bytes of keys and rows in so many records.
  public mutating func reserveCapacity(recordCount: Int, sizeBytes: Int) {
    records.reserveCapacity(sizeBytes + recordCount * (LogEntry.headerBytes + 40))
  }

  /// Adds a record that answers for its key unless one with a later event time does.
  ///
  /// - Parameters:
  ///   - eventTime: microseconds since 1970-01-01T00:00:00Z, as `expiresAt`.
  ///   - expiresAt: the last moment at which the record counts; nil for no limit of its own.
  ///   - row: the features as `RowCodec` encodes them.
  public mutating func put(
    groupID: UInt32, schemaVersion: UInt32, eventTime: Int64, expiresAt: Int64? = nil,
    key: RawSpan, row: RawSpan
  ) {
    append(
      LogEntry.Head(
        .put, groupID: groupID, schemaVersion: schemaVersion, eventTime: eventTime,
        expiresAt: expiresAt), key: key, row: row)
  }

  /// Adds a tombstone.
  public mutating func delete(
    groupID: UInt32, schemaVersion: UInt32, eventTime: Int64, key: RawSpan
  ) {
    append(
      LogEntry.Head(
        .tombstone, groupID: groupID, schemaVersion: schemaVersion, eventTime: eventTime),
      key: key, row: RawSpan())
  }

  public mutating func append(_ entry: LogEntry) {
    append(entry.head, key: entry.key.rawSpan, row: entry.row.rawSpan)
  }

  /// Adds all records of another batch, after those of this.
  public mutating func append(contentsOf other: WriteBatch) {
    records.append(contentsOf: other.records)
    sizeBytes += other.sizeBytes
    longestKeyBytes = max(longestKeyBytes, other.longestKeyBytes)
  }

  /// Adds a record of another batch as it is.
  mutating func append(_ entry: borrowing LogEntry.View) {
    let (bytes, keyBytes) = (entry.bytes, entry.key.byteCount)
    records.append(sizeBytes: bytes.byteCount) { memory, start in memory.store(bytes, at: start) }
    sizeBytes += bytes.byteCount
    longestKeyBytes = max(longestKeyBytes, keyBytes)
  }

  /// One record, read in place.
  @_lifetime(borrow self)
  func view(_ index: Int) -> LogEntry.View {
    guard let view = LogEntry.View(records.payload(index)) else {
      preconditionFailure("a batch holds entries")
    }
    return view
  }

  private mutating func append(_ head: LogEntry.Head, key: RawSpan, row: RawSpan) {
    let size = head.sizeBytes + key.byteCount + row.byteCount
    records.append(sizeBytes: size) { memory, start in
      head.encode(key: key, row: row, into: &memory, at: start)
    }
    sizeBytes += size
    longestKeyBytes = max(longestKeyBytes, key.byteCount)
  }

  /// Gives all entries but copies their write time.
  mutating func stamp(_ writeTime: Int64) {
    records.update { LogEntry.stamp(writeTime, &$0, at: $1) }
  }
}
