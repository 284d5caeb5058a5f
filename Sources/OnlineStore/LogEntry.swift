internal import Storage
public import WriteAheadLog

/// One record as it lies in the log: what was put or deleted, or a note for those who follow the log.
///
///     0 kind | 1 flags | 2 zeros | 4 group | 8 schema version | 12 key length
///     16 event time | 24 write time | 32 key | row
///
/// Little-endian. Times are microseconds since 1970-01-01T00:00:00Z.
public struct LogEntry: Hashable, Sendable {
  public enum Kind: UInt8, Sendable {
    case put = 1
    case tombstone = 2
    /// A note of a follower (what it is about to export, for example); the row holds its payload.
    case control = 3
  }

  public static let headerBytes = 32
  public static let keyLimitBytes = 1 << 20

  public var kind: Kind
  /// Kept for later use; 0 today.
  public var flags: UInt8
  public var groupID: UInt32
  public var schemaVersion: UInt32
  public var eventTime: Int64
  /// When the store accepted it; `OnlineStore.append` sets it.
  public var writeTime: Int64
  public var key: [UInt8]
  public var row: [UInt8]

  public init(
    _ kind: Kind, groupID: UInt32, schemaVersion: UInt32 = 0, eventTime: Int64 = 0,
    writeTime: Int64 = 0, flags: UInt8 = 0, key: [UInt8] = [], row: [UInt8] = []
  ) {
    self.kind = kind
    self.flags = flags
    self.groupID = groupID
    self.schemaVersion = schemaVersion
    self.eventTime = eventTime
    self.writeTime = writeTime
    self.key = key
    self.row = row
  }

  /// Appends the entry's bytes.
  public func encode(into bytes: inout [UInt8]) {
    bytes.append(kind.rawValue)
    bytes.append(flags)
    bytes.appendLittleEndian(UInt16(0))
    bytes.appendLittleEndian(groupID)
    bytes.appendLittleEndian(schemaVersion)
    bytes.appendLittleEndian(UInt32(clamping: key.count))
    bytes.appendLittleEndian(eventTime)
    bytes.appendLittleEndian(writeTime)
    bytes += key
    bytes += row
  }

  /// Reads an entry; nil when the bytes are none.
  public init?(decoding bytes: RawSpan) {
    guard let view = View(bytes) else { return nil }
    self.init(
      view.kind, groupID: view.groupID, schemaVersion: view.schemaVersion,
      eventTime: view.eventTime, writeTime: view.writeTime, flags: view.flags,
      key: view.key.copy(), row: view.row.copy())
  }

  /// An entry read in place, without copying its key and row.
  public struct View: ~Escapable {
    public let bytes: RawSpan
    public let kind: Kind
    private let keyLength: Int

    /// nil when the bytes are no entry.
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
      guard bytes.byteCount >= LogEntry.headerBytes,
        let kind = Kind(rawValue: bytes.loadLittleEndian(UInt8.self, at: 0)),
        bytes.loadLittleEndian(UInt16.self, at: 2) == 0
      else { return nil }
      let keyLength = Int(bytes.loadLittleEndian(UInt32.self, at: 12))
      guard keyLength <= bytes.byteCount - LogEntry.headerBytes else { return nil }
      self.bytes = bytes
      self.kind = kind
      self.keyLength = keyLength
    }

    public var flags: UInt8 { bytes.loadLittleEndian(UInt8.self, at: 1) }
    public var groupID: UInt32 { bytes.loadLittleEndian(UInt32.self, at: 4) }
    public var schemaVersion: UInt32 { bytes.loadLittleEndian(UInt32.self, at: 8) }
    public var eventTime: Int64 { bytes.loadLittleEndian(Int64.self, at: 16) }
    public var writeTime: Int64 { bytes.loadLittleEndian(Int64.self, at: 24) }

    public var key: RawSpan {
      @_lifetime(copy self)
      get {
        bytes.extracting(LogEntry.headerBytes..<LogEntry.headerBytes + keyLength)
      }
    }

    public var row: RawSpan {
      @_lifetime(copy self)
      get { bytes.extracting(droppingFirst: LogEntry.headerBytes + keyLength) }
    }
  }
}

/// An entry with its place in the order of events.
public struct StoredEntry: Hashable, Sendable {
  public let lsn: LogSequenceNumber
  public let entry: LogEntry

  public init(lsn: LogSequenceNumber, entry: LogEntry) {
    self.lsn = lsn
    self.entry = entry
  }

  public var isTombstone: Bool { entry.kind == .tombstone }
}

extension RawSpan {
  func copy() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    bytes.append(contentsOf: self)
    return bytes
  }

  func isEqual(to other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    var offset = 0
    while offset + 8 <= byteCount {
      if loadLittleEndian(UInt64.self, at: offset)
        != other.loadLittleEndian(UInt64.self, at: offset)
      {
        return false
      }
      offset += 8
    }
    while offset < byteCount {
      if loadLittleEndian(UInt8.self, at: offset) != other.loadLittleEndian(UInt8.self, at: offset)
      {
        return false
      }
      offset += 1
    }
    return true
  }
}
