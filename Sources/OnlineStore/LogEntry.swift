internal import Storage
public import WriteAheadLog

/// One record as it lies in the log: what was put or deleted, or a note for those who follow the log.
///
///     0 kind | 1 flags | 2 zeros | 4 group | 8 schema version | 12 key length
///     16 event time | 24 write time | 32 (LSN of the original, of a copy) | (expiry) | key | row
///
/// Little-endian. Times are microseconds since 1970-01-01T00:00:00Z. A copy (flag 1) is what cleaning
/// makes of a record whose segment goes: the same record with its own LSN, which followers pass over.
/// Flag 2 says that the record has an expiry of its own.
public struct LogEntry: Hashable, Sendable {
  public enum Kind: UInt8, Sendable {
    case put = 1
    case tombstone = 2
    /// A note of a follower (what it is about to export, for example); the row holds its payload.
    case control = 3
    /// Takes the key out of the online store, with everything before: it answers "never written" then,
    /// whatever event time comes next. Followers pass over it.
    case purge = 4

    /// Whether it can answer for a key.
    public var isAnswer: Bool { self == .put || self == .tombstone }
  }

  public static let headerBytes = 32
  fileprivate static let writeTimeOffset = 24
  fileprivate static let copyFlag: UInt8 = 1
  fileprivate static let expiryFlag: UInt8 = 2
  public static let keyLimitBytes = 1 << 20

  public var kind: Kind
  /// The LSN of the record that this is a copy of; nil for a record of its own.
  public var originalLSN: LogSequenceNumber?
  /// The last moment at which the record counts, whatever its group's ttl; nil for none of its own. The
  /// store hands it out; who reads compares it with the clock. A tombstone with one is what is left of
  /// a record that had expired when its segment went.
  public var expiresAt: Int64?
  public var groupID: UInt32
  public var schemaVersion: UInt32
  public var eventTime: Int64
  /// When the store accepted it; `OnlineStore.append` sets it.
  public var writeTime: Int64
  public var key: [UInt8]
  public var row: [UInt8]

  public init(
    _ kind: Kind, groupID: UInt32, schemaVersion: UInt32 = 0, eventTime: Int64 = 0,
    writeTime: Int64 = 0, originalLSN: LogSequenceNumber? = nil,
    expiresAt: Int64? = nil, key: [UInt8] = [], row: [UInt8] = []
  ) {
    self.kind = kind
    self.originalLSN = originalLSN
    self.expiresAt = expiresAt
    self.groupID = groupID
    self.schemaVersion = schemaVersion
    self.eventTime = eventTime
    self.writeTime = writeTime
    self.key = key
    self.row = row
  }

  /// Its bytes, as they lie in the log.
  public var encoded: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: sizeBytes)
    var elements = bytes.mutableSpan
    var memory = unsafe elements.mutableBytes
    head.encode(key: key.rawSpan, row: row.rawSpan, into: &memory, at: 0)
    return bytes
  }

  /// Without key and row.
  var head: Head {
    Head(
      kind, groupID: groupID, schemaVersion: schemaVersion, eventTime: eventTime,
      writeTime: writeTime, originalLSN: originalLSN, expiresAt: expiresAt)
  }

  /// What its payload takes in the log.
  var sizeBytes: Int { head.sizeBytes + key.count + row.count }

  /// Reads an entry; nil when the bytes are none.
  public init?(decoding bytes: RawSpan) {
    guard let view = View(bytes) else { return nil }
    self.init(
      view.kind, groupID: view.groupID, schemaVersion: view.schemaVersion,
      eventTime: view.eventTime, writeTime: view.writeTime, originalLSN: view.originalLSN,
      expiresAt: view.expiresAt, key: view.key.copy(), row: view.row.copy())
  }

  /// An entry read in place, without copying its key and row.
  public struct View: ~Escapable {
    public let bytes: RawSpan
    public let kind: Kind
    private let flags: UInt8
    private let keyStart: Int
    private let keyLength: Int

    /// nil when the bytes are no entry.
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
      guard bytes.byteCount >= LogEntry.headerBytes,
        let kind = Kind(rawValue: bytes.loadLittleEndian(UInt8.self, at: 0)),
        bytes.loadLittleEndian(UInt16.self, at: 2) == 0
      else { return nil }
      let flags = bytes.loadLittleEndian(UInt8.self, at: 1)
      guard flags & ~(LogEntry.copyFlag | LogEntry.expiryFlag) == 0 else { return nil }
      let keyStart = LogEntry.headerBytes + 8 * flags.nonzeroBitCount
      let keyLength = Int(bytes.loadLittleEndian(UInt32.self, at: 12))
      guard keyLength <= bytes.byteCount - keyStart else { return nil }
      self.bytes = bytes
      self.kind = kind
      self.flags = flags
      self.keyStart = keyStart
      self.keyLength = keyLength
    }

    /// The LSN of the record that this is a copy of; nil for a record of its own.
    public var originalLSN: LogSequenceNumber? {
      guard flags & LogEntry.copyFlag != 0 else { return nil }
      return bytes.loadLittleEndian(Int64.self, at: LogEntry.headerBytes)
    }
    /// The last moment at which the record counts; nil for no limit of its own.
    public var expiresAt: Int64? {
      guard flags & LogEntry.expiryFlag != 0 else { return nil }
      return bytes.loadLittleEndian(Int64.self, at: keyStart - 8)
    }
    public var groupID: UInt32 { bytes.loadLittleEndian(UInt32.self, at: 4) }
    public var schemaVersion: UInt32 { bytes.loadLittleEndian(UInt32.self, at: 8) }
    public var eventTime: Int64 { bytes.loadLittleEndian(Int64.self, at: 16) }
    public var writeTime: Int64 { bytes.loadLittleEndian(Int64.self, at: 24) }

    public var key: RawSpan {
      @_lifetime(copy self)
      get {
        bytes.extracting(keyStart..<keyStart + keyLength)
      }
    }

    public var row: RawSpan {
      @_lifetime(copy self)
      get { bytes.extracting(droppingFirst: keyStart + keyLength) }
    }
  }
}

extension LogEntry {
  /// What stands before an entry's key.
  struct Head {
    private let kind: Kind
    private let groupID: UInt32
    private let schemaVersion: UInt32
    private let eventTime: Int64
    private let writeTime: Int64
    private let originalLSN: LogSequenceNumber?
    private let expiresAt: Int64?

    init(
      _ kind: Kind, groupID: UInt32, schemaVersion: UInt32, eventTime: Int64, writeTime: Int64 = 0,
      originalLSN: LogSequenceNumber? = nil, expiresAt: Int64? = nil
    ) {
      self.kind = kind
      self.groupID = groupID
      self.schemaVersion = schemaVersion
      self.eventTime = eventTime
      self.writeTime = writeTime
      self.originalLSN = originalLSN
      self.expiresAt = expiresAt
    }

    var sizeBytes: Int {
      LogEntry.headerBytes + (originalLSN == nil ? 0 : 8) + (expiresAt == nil ? 0 : 8)
    }

    /// Writes the entry over zeros.
    func encode(key: RawSpan, row: RawSpan, into memory: inout MutableRawSpan, at start: Int) {
      memory.storeLittleEndian(kind.rawValue, at: start)
      memory.storeLittleEndian(
        (originalLSN == nil ? 0 : LogEntry.copyFlag)
          | (expiresAt == nil ? 0 : LogEntry.expiryFlag), at: start + 1)
      memory.storeLittleEndian(groupID, at: start + 4)
      memory.storeLittleEndian(schemaVersion, at: start + 8)
      memory.storeLittleEndian(UInt32(clamping: key.byteCount), at: start + 12)
      memory.storeLittleEndian(eventTime, at: start + 16)
      memory.storeLittleEndian(writeTime, at: start + LogEntry.writeTimeOffset)
      var offset = start + LogEntry.headerBytes
      if let originalLSN {
        memory.storeLittleEndian(originalLSN, at: offset)
        offset += 8
      }
      if let expiresAt {
        memory.storeLittleEndian(expiresAt, at: offset)
        offset += 8
      }
      memory.store(key, at: offset)
      memory.store(row, at: offset + key.byteCount)
    }
  }

  /// Sets the write time of an encoded entry, but of a copy, which keeps its own.
  static func stamp(_ writeTime: Int64, _ memory: inout MutableRawSpan, at start: Int) {
    let flags = memory.bytes.loadLittleEndian(UInt8.self, at: start + 1)
    if flags & copyFlag != 0 { return }
    memory.storeLittleEndian(writeTime, at: start + writeTimeOffset)
  }
}

/// An entry with its place in the order of events; of a copy, the original's.
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
