internal import Storage

/// One write: a group of appends that become durable together, or not at all.
///
///     0 length | 4 masked CRC | 8 first LSN | 16 record count | 20 kind | 21 zeros
///     24 durable up to | 32 records (or, of a reservation, 8 bytes of count)
///
/// Everything is little-endian; the length counts the whole frame and is a multiple of 8, so that no
/// sector boundary cuts the length word. The CRC covers the segment's salt and all of the frame but
/// itself, so a frame left over from other use of the disk is none. `durable up to` is an LSN known to
/// be synced when this frame was written: damage up to there cannot be a write that was cut short.
enum Frame {
  static let headerBytes = 32
  /// What one append may take, whatever the group limit.
  static let limitBytes = 64 << 20

  enum Kind: UInt8 {
    case records = 1
    /// LSNs given to rows that are not in the log.
    case reservation = 2
    /// The log was closed: everything before is synced. It takes an LSN, so that a later frame's
    /// `durable up to` covers it too.
    case closed = 3
  }

  struct Header {
    var length: Int
    var firstLSN: LogSequenceNumber
    /// How many LSNs the frame takes.
    var lsnCount: Int64
    var recordCount: Int
    var kind: Kind
    var durableUpTo: LogSequenceNumber
    var checksum: UInt32

    var nextLSN: LogSequenceNumber { firstLSN + lsnCount }
  }

  /// Gives the records their LSNs and checksums, and the frame its header: `bytes` begins with room
  /// for the header.
  static func seal(
    _ bytes: inout [UInt8], kind: Kind, firstLSN: LogSequenceNumber, recordCount: Int,
    durableUpTo: LogSequenceNumber, salt: UInt32
  ) {
    precondition(bytes.count >= headerBytes && bytes.count & 7 == 0)
    if kind == .records {
      var offset = headerBytes
      for index in 0..<recordCount {
        let payload = Int(bytes.rawSpan.loadLittleEndian(UInt32.self, at: offset))
        bytes.storeLittleEndian(firstLSN + Int64(index), at: offset + 8)
        let size = LogRecords.sizeBytes(payload: payload)
        let checksum = recordChecksum(
          bytes.rawSpan.extracting(offset..<offset + size), salt: salt)
        bytes.storeLittleEndian(checksum, at: offset + 4)
        offset += size
      }
      precondition(offset == bytes.count, "the records fill the frame")
    }
    bytes.storeLittleEndian(UInt32(bytes.count), at: 0)
    bytes.storeLittleEndian(firstLSN, at: 8)
    bytes.storeLittleEndian(UInt32(recordCount), at: 16)
    bytes.storeLittleEndian(UInt32(kind.rawValue), at: 20)
    bytes.storeLittleEndian(durableUpTo, at: 24)
    let sum = checksum(bytes.rawSpan, salt: salt)
    bytes.storeLittleEndian(sum, at: 4)
  }

  /// The checksum of a frame or of a record: salt, length, and all that follows the CRC word.
  static func checksum(_ bytes: RawSpan, salt: UInt32) -> UInt32 {
    var sum = CRC32C()
    let length = bytes.loadLittleEndian(UInt32.self, at: 0)
    sum.update(UInt64(salt) << 32 | UInt64(length))
    sum.update(bytes.extracting(droppingFirst: 8))
    return sum.masked
  }

  static func recordChecksum(_ record: RawSpan, salt: UInt32) -> UInt32 {
    checksum(record, salt: ~salt)
  }

  /// The length word of a frame at the start of `bytes`, if it can be one; the bytes may be fewer.
  static func plausibleLength(_ bytes: RawSpan) -> Int? {
    guard bytes.byteCount >= headerBytes else { return nil }
    let length = Int(bytes.loadLittleEndian(UInt32.self, at: 0))
    guard length >= headerBytes, length & 7 == 0, length <= limitBytes else { return nil }
    return length
  }

  /// The header of the frame that fills `bytes`; nil unless the checksum holds and the contents make
  /// sense.
  static func validate(_ bytes: RawSpan, salt: UInt32) -> Header? {
    guard plausibleLength(bytes) == bytes.byteCount else { return nil }
    let stored = bytes.loadLittleEndian(UInt32.self, at: 4)
    // The checksum last: a search for frames tries every place, and each may claim megabytes.
    guard let byte = UInt8(exactly: bytes.loadLittleEndian(UInt32.self, at: 20)),
      let kind = Kind(rawValue: byte),
      1...LogLimits.lastLSN ~= bytes.loadLittleEndian(Int64.self, at: 8),
      stored == checksum(bytes, salt: salt)
    else { return nil }
    let count = bytes.loadLittleEndian(UInt32.self, at: 16)
    var header = Header(
      length: bytes.byteCount, firstLSN: bytes.loadLittleEndian(Int64.self, at: 8),
      lsnCount: Int64(count), recordCount: Int(count), kind: kind,
      durableUpTo: bytes.loadLittleEndian(Int64.self, at: 24), checksum: stored)
    switch kind {
    case .records:
      guard count > 0, recordsFill(bytes, count: Int(count)) else { return nil }
    case .reservation:
      guard count == 0, bytes.byteCount == headerBytes + 8 else { return nil }
      header.lsnCount = bytes.loadLittleEndian(Int64.self, at: headerBytes)
      guard header.lsnCount > 0 else { return nil }
    case .closed:
      guard count == 0, bytes.byteCount == headerBytes else { return nil }
      header.lsnCount = 1
    }
    guard 0...LogLimits.lastLSN ~= header.durableUpTo,
      header.lsnCount <= LogLimits.lastLSN - header.firstLSN + 1
    else {
      return nil
    }
    return header
  }

  private static func recordsFill(_ bytes: RawSpan, count: Int) -> Bool {
    var offset = headerBytes
    for _ in 0..<count {
      guard offset + LogRecords.recordHeaderBytes <= bytes.byteCount else { return false }
      let payload = Int(bytes.loadLittleEndian(UInt32.self, at: offset))
      guard payload <= LogRecords.payloadLimitBytes else { return false }
      offset += LogRecords.sizeBytes(payload: payload)
    }
    return offset == bytes.byteCount
  }

  /// Shows the records of a valid frame from `lsn` on. Returns the LSN of the one after which `show`
  /// wanted no more; nil when it wanted all.
  static func showRecords(
    _ bytes: RawSpan, _ header: Header, at place: (segment: UInt32, byteOffset: Int),
    from lsn: LogSequenceNumber, _ show: RecordVisitor
  ) -> LogSequenceNumber? {
    guard header.kind == .records, header.nextLSN > lsn else { return nil }
    var offset = headerBytes
    for index in 0..<header.recordCount {
      let length = Int(bytes.loadLittleEndian(UInt32.self, at: offset))
      let record = header.firstLSN + Int64(index)
      let start = offset + LogRecords.recordHeaderBytes
      if record >= lsn {
        let position = LogPosition(
          segment: place.segment, byteOffset: place.byteOffset + offset)
        guard show(record, position, bytes.extracting(start..<start + length)) else {
          return record
        }
      }
      offset += LogRecords.sizeBytes(payload: length)
    }
    return nil
  }

  /// The chained checksum after this frame: the segment's frames in their order, none missing.
  static func chain(_ chain: UInt32, after header: Header) -> UInt32 {
    var sum = CRC32C(continuing: chain)
    sum.update(UInt64(header.checksum) << 32 | UInt64(header.length))
    return sum.value
  }

  /// The same for a sealed frame.
  static func chain(_ chain: UInt32, bytes: [UInt8]) -> UInt32 {
    var sum = CRC32C(continuing: chain)
    let checksum = bytes.rawSpan.loadLittleEndian(UInt32.self, at: 4)
    sum.update(UInt64(checksum) << 32 | UInt64(bytes.count))
    return sum.value
  }
}
