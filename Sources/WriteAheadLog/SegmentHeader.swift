internal import Storage

/// The first 4096 bytes of a segment, all under one checksum:
///
///     0 magic | 8 version | 12 segment | 16 store id | 32 first LSN | 40 salt
///     44 predecessor's chained CRC | 48 predecessor's length | 56 zeros | 4088 masked CRC | 4092 zero
///
/// It is written before the segment gets its name, so a segment without a valid header is damage. The
/// predecessor's length says where that segment ends: bytes beyond were never acknowledged there.
struct SegmentHeader: Hashable {
  static let sizeBytes = 4096
  private static let magic: UInt64 = 0x4C57_4552_4F54_5346
  private static let formatVersion: UInt32 = 1
  private static let checksumOffset = 4088

  var segment: UInt32
  var store: StoreIdentifier
  var firstLSN: LogSequenceNumber
  var salt: UInt32
  /// Both 0 in the log's first segment.
  var predecessorLength: Int
  var predecessorChain: UInt32

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: SegmentHeader.sizeBytes)
    bytes.storeLittleEndian(SegmentHeader.magic, at: 0)
    bytes.storeLittleEndian(SegmentHeader.formatVersion, at: 8)
    bytes.storeLittleEndian(segment, at: 12)
    bytes.storeLittleEndian(store.high, at: 16)
    bytes.storeLittleEndian(store.low, at: 24)
    bytes.storeLittleEndian(firstLSN, at: 32)
    bytes.storeLittleEndian(salt, at: 40)
    bytes.storeLittleEndian(predecessorChain, at: 44)
    bytes.storeLittleEndian(Int64(predecessorLength), at: 48)
    let checksum = CRC32C(of: bytes.rawSpan.extracting(first: SegmentHeader.checksumOffset))
    bytes.storeLittleEndian(checksum.masked, at: SegmentHeader.checksumOffset)
    return bytes
  }

  /// nil and why when the bytes are no header.
  static func decode(_ bytes: RawSpan) -> (header: SegmentHeader?, reason: String) {
    guard bytes.byteCount == sizeBytes else { return (nil, "the segment header is cut short") }
    guard bytes.loadLittleEndian(UInt64.self, at: 0) == magic else {
      return (nil, "this is no segment of a log")
    }
    let version = bytes.loadLittleEndian(UInt32.self, at: 8)
    guard version == formatVersion else { return (nil, "format version \(version) is unknown") }
    let checksum = CRC32C(of: bytes.extracting(first: checksumOffset)).masked
    guard bytes.loadLittleEndian(UInt32.self, at: checksumOffset) == checksum,
      bytes.loadLittleEndian(UInt32.self, at: checksumOffset + 4) == 0
    else { return (nil, "the segment header's checksum does not match") }
    let header = SegmentHeader(
      segment: bytes.loadLittleEndian(UInt32.self, at: 12),
      store: StoreIdentifier(
        high: bytes.loadLittleEndian(UInt64.self, at: 16),
        low: bytes.loadLittleEndian(UInt64.self, at: 24)),
      firstLSN: bytes.loadLittleEndian(Int64.self, at: 32),
      salt: bytes.loadLittleEndian(UInt32.self, at: 40),
      predecessorLength: Int(bytes.loadLittleEndian(Int64.self, at: 48)),
      predecessorChain: bytes.loadLittleEndian(UInt32.self, at: 44))
    guard 1...LogLimits.lastLSN + 1 ~= header.firstLSN, header.segment <= LogLimits.lastSegment
    else { return (nil, "its number or first LSN is none that a log has") }
    guard header.predecessorLength == 0 || header.predecessorLength >= sizeBytes
    else { return (nil, "no segment is as long as it says of its predecessor") }
    return (header, "")
  }
}
