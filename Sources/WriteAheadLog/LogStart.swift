internal import Storage

/// The file START: which segment is the log's first. Published anew before older segments are
/// removed, so that a segment that is missing by accident is told from one that was removed.
///
///     0 magic | 8 version | 12 segment | 16 store id | 32 first LSN | 40 salt | 44 zeros
///     60 masked CRC
///
/// A log without it begins with segment 1.
struct LogStart: Hashable {
  static let name = "START"
  static let sizeBytes = 64
  private static let magic: UInt64 = 0x5254_5345_524F_5453
  private static let formatVersion: UInt32 = 1

  var segment: UInt32
  var store: StoreIdentifier
  var firstLSN: LogSequenceNumber
  /// Of the segment, so that no other file of that number is taken for it.
  var salt: UInt32

  init(_ header: SegmentHeader) {
    segment = header.segment
    store = header.store
    firstLSN = header.firstLSN
    salt = header.salt
  }

  /// nil when the bytes are not what was written.
  init?(_ bytes: RawSpan) {
    guard bytes.byteCount == LogStart.sizeBytes,
      bytes.loadLittleEndian(UInt64.self, at: 0) == LogStart.magic,
      bytes.loadLittleEndian(UInt32.self, at: 8) == LogStart.formatVersion,
      bytes.loadLittleEndian(UInt32.self, at: 60)
        == CRC32C(of: bytes.extracting(first: 60)).masked
    else { return nil }
    segment = bytes.loadLittleEndian(UInt32.self, at: 12)
    store = StoreIdentifier(
      high: bytes.loadLittleEndian(UInt64.self, at: 16),
      low: bytes.loadLittleEndian(UInt64.self, at: 24))
    firstLSN = bytes.loadLittleEndian(Int64.self, at: 32)
    salt = bytes.loadLittleEndian(UInt32.self, at: 40)
    guard 1...LogLimits.lastLSN + 1 ~= firstLSN, segment <= LogLimits.lastSegment else {
      return nil
    }
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: LogStart.sizeBytes)
    bytes.storeLittleEndian(LogStart.magic, at: 0)
    bytes.storeLittleEndian(LogStart.formatVersion, at: 8)
    bytes.storeLittleEndian(segment, at: 12)
    bytes.storeLittleEndian(store.high, at: 16)
    bytes.storeLittleEndian(store.low, at: 24)
    bytes.storeLittleEndian(firstLSN, at: 32)
    bytes.storeLittleEndian(salt, at: 40)
    let checksum = CRC32C(of: bytes.rawSpan.extracting(first: 60))
    bytes.storeLittleEndian(checksum.masked, at: 60)
    return bytes
  }

  /// nil when there is none; throws `.corrupt` when it cannot be read as one.
  static func read(
    directory: String, fileSystem: any FileSystem
  ) throws(WriteAheadLogError) -> LogStart? {
    let path = StoragePath.join(directory, name)
    let bytes: [UInt8]
    do throws(StorageError) {
      bytes = try fileSystem.readFile(path, limitBytes: sizeBytes)
    } catch {
      if error.kind == .notFound { return nil }
      if error.errorNumber != 0 { throw .storage(error) }
      throw .corrupt(path: path, byteOffset: sizeBytes, reason: error.message)
    }
    guard let start = LogStart(bytes.rawSpan) else {
      throw .corrupt(path: path, byteOffset: 0, reason: "it is not what was written")
    }
    return start
  }

  func publish(directory: String, fileSystem: any FileSystem) throws(StorageError) {
    try fileSystem.publish(
      encoded(), at: StoragePath.join(directory, LogStart.name), replacing: true)
  }
}
