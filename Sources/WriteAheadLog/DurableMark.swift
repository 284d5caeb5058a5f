internal import Storage

/// The file DURABLE: up to which LSN the writer knows the log to be synced, and its last segment.
///
///     0 magic | 8 version | 12 segment | 16 store id | 32 durable LSN | 40 zeros | 60 masked CRC
///
/// It is written over in place after each sync, without a sync of its own (but for new segments), and
/// what it says is always true: so other processes read what is durable a moment after it is, and a
/// log that ends before it has lost something. When it is missing or unreadable nothing is lost: the
/// frames prove all but the last write themselves.
final class DurableMark: Sendable {
  static let name = "DURABLE"
  static let sizeBytes = 64
  private static let magic: UInt64 = 0x454C_4241_5255_4400
  private static let formatVersion: UInt32 = 1

  struct Value: Hashable {
    var store: StoreIdentifier
    /// The last segment that is known to be durable.
    var segment: UInt32
    var durableLSN: LogSequenceNumber
  }

  private let file: any File

  private init(_ file: any File) { self.file = file }

  /// The mark for a writer: the file that is there, or a new one; synced, with this value.
  static func open(
    _ value: Value, directory: String, fileSystem: any FileSystem
  ) throws(StorageError) -> DurableMark {
    let path = StoragePath.join(directory, name)
    if try fileSystem.information(path) == nil {
      try fileSystem.publish(encode(value), at: path, replacing: true)
      return DurableMark(try fileSystem.open(path, .readWrite))
    }
    let mark = DurableMark(try fileSystem.open(path, .readWrite))
    if try mark.file.size() != Int64(sizeBytes) { try mark.file.truncate(to: Int64(sizeBytes)) }
    try mark.write(value)
    try mark.synchronize()
    return mark
  }

  func write(_ value: Value) throws(StorageError) {
    try file.write(DurableMark.encode(value), at: 0)
  }

  func synchronize() throws(StorageError) { try file.synchronizeData() }

  /// What the file says now; nil when it is missing or not what was written.
  static func read(
    directory: String, fileSystem: any FileSystem
  ) throws(StorageError) -> Value? {
    let file: any File
    do throws(StorageError) {
      file = try fileSystem.open(StoragePath.join(directory, name), .read)
    } catch {
      if error.kind == .notFound { return nil }
      throw error
    }
    let mark = DurableMark(file)
    let value = try mark.read()
    try file.close()
    return value
  }

  private func read() throws(StorageError) -> Value? {
    // A writer may be writing it this moment; then the next look sees it whole.
    for _ in 0..<4 {
      let bytes = try file.read(count: DurableMark.sizeBytes + 1, at: 0)
      if let value = DurableMark.decode(bytes.rawSpan) { return value }
    }
    return nil
  }

  static func encode(_ value: Value) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: sizeBytes)
    bytes.storeLittleEndian(magic, at: 0)
    bytes.storeLittleEndian(formatVersion, at: 8)
    bytes.storeLittleEndian(value.segment, at: 12)
    bytes.storeLittleEndian(value.store.high, at: 16)
    bytes.storeLittleEndian(value.store.low, at: 24)
    bytes.storeLittleEndian(value.durableLSN, at: 32)
    let checksum = CRC32C(of: bytes.rawSpan.extracting(first: 60))
    bytes.storeLittleEndian(checksum.masked, at: 60)
    return bytes
  }

  private static func decode(_ bytes: RawSpan) -> Value? {
    guard bytes.byteCount == sizeBytes,
      bytes.loadLittleEndian(UInt64.self, at: 0) == magic,
      bytes.loadLittleEndian(UInt32.self, at: 8) == formatVersion,
      bytes.loadLittleEndian(UInt32.self, at: 60)
        == CRC32C(of: bytes.extracting(first: 60)).masked,
      0...LogLimits.lastLSN ~= bytes.loadLittleEndian(Int64.self, at: 32)
    else { return nil }
    return Value(
      store: StoreIdentifier(
        high: bytes.loadLittleEndian(UInt64.self, at: 16),
        low: bytes.loadLittleEndian(UInt64.self, at: 24)),
      segment: bytes.loadLittleEndian(UInt32.self, at: 12),
      durableLSN: bytes.loadLittleEndian(Int64.self, at: 32))
  }
}
