internal import Storage
internal import WriteAheadLog

/// The file INDEX beside the log's segments: the index as it was once every record up to an LSN was in
/// it, so that opening reads only the log after that.
///
///     0 magic | 8 version | 12 shards | 16 store id | 32 LSN | 40 hash seed | 48 last write time
///     56 first segment that a position names | 60 masked CRC of the 60 bytes before
///     then for each shard:
///     0 entries | 8 live bytes | 16 groups | 20 masked CRC of the CRC at 60, the shard's number, the 20
///     bytes before and all that follows | 24 groups: id, zero, live keys, deleted keys
///     entries: hash, position
///
/// Little-endian. Entries may be newer than the LSN; replaying the log after it gives them again. A shard
/// in another's place, or of another checkpoint, has a checksum that is wrong: a disk that misplaces a
/// sector is noticed. Version 2 had another hash.
struct CheckpointFile {
  static let name = "INDEX"
  private static let magic: UInt64 = 0x5845_444E_4954_5346
  private static let formatVersion: UInt32 = 3
  private static let headerBytes = 64
  private static let shardHeaderBytes = 24
  private static let headerChecksumOffset = 60
  private static let checksumOffset = 20
  private static let groupBytes = 24
  private static let entryBytes = 16
  private static let largestLogBytes = 1 << 50

  var store: StoreIdentifier
  /// Every record up to here is in the index.
  var lsn: LogSequenceNumber
  /// Of the hash that the entries carry.
  var seed: UInt64
  var lastWriteTime: Int64
  var firstSegment: UInt32

  /// One shard's content.
  struct Shard {
    var groups: [UInt32: OnlineStore.GroupStatistics] = [:]
    var liveBytes = 0
    /// Hash, position, hash, position...
    var entries: [UInt64] = []
  }

  /// What a shard's checksum says of the place where it stands.
  private struct Place {
    /// The checksum of the file's header.
    var header: UInt32
    var shard: Int

    init(header: RawSpan, shard: Int) {
      self.header = header.loadLittleEndian(UInt32.self, at: headerChecksumOffset)
      self.shard = shard
    }

    func checksum(_ bytes: RawSpan) -> UInt32 {
      var sum = CRC32C()
      sum.update(UInt64(header) | UInt64(UInt32(truncatingIfNeeded: shard)) << 32)
      sum.update(bytes.extracting(first: checksumOffset))
      sum.update(bytes.extracting(droppingFirst: shardHeaderBytes))
      return sum.masked
    }
  }

  // MARK: Writing

  /// Writes the file. Cost: one shard's bytes at a time in memory.
  func write(_ shards: [Shard], to file: any File) throws(StorageError) {
    let header = header(shardCount: shards.count)
    try file.write(header, at: 0)
    var offset = Int64(header.count)
    for (number, shard) in shards.enumerated() {
      let bytes = CheckpointFile.encode(shard, Place(header: header.rawSpan, shard: number))
      try file.write(bytes, at: offset)
      offset += Int64(bytes.count)
    }
  }

  private func header(shardCount: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendLittleEndian(CheckpointFile.magic)
    bytes.appendLittleEndian(CheckpointFile.formatVersion)
    bytes.appendLittleEndian(UInt32(clamping: shardCount))
    bytes.appendLittleEndian(store.high)
    bytes.appendLittleEndian(store.low)
    bytes.appendLittleEndian(lsn)
    bytes.appendLittleEndian(seed)
    bytes.appendLittleEndian(lastWriteTime)
    bytes.appendLittleEndian(firstSegment)
    bytes.appendLittleEndian(CRC32C(of: bytes.rawSpan).masked)
    return bytes
  }

  private static func encode(_ shard: Shard, _ place: Place) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(
      shardHeaderBytes + shard.groups.count * groupBytes + shard.entries.count * 8)
    bytes.appendLittleEndian(UInt64(shard.entries.count / 2))
    bytes.appendLittleEndian(Int64(shard.liveBytes))
    bytes.appendLittleEndian(UInt32(clamping: shard.groups.count))
    bytes.appendLittleEndian(UInt32(0))
    for (id, group) in shard.groups.sorted(by: { $0.key < $1.key }) {
      bytes.appendLittleEndian(id)
      bytes.appendLittleEndian(UInt32(0))
      bytes.appendLittleEndian(Int64(group.liveKeys))
      bytes.appendLittleEndian(Int64(group.deletedKeys))
    }
    unsafe shard.entries.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    let sum = place.checksum(bytes.rawSpan)
    bytes.storeLittleEndian(sum, at: checksumOffset)
    return bytes
  }

  // MARK: Reading

  /// Reads the file at `path` and gives each shard to `body` in turn. Returns nil when there is none, or
  /// when it is not what was written: then the log is read instead.
  static func read(
    _ path: String, fileSystem: any FileSystem, shardCount: Int, _ body: (Shard) -> Void
  ) throws(StorageError) -> CheckpointFile? {
    guard try fileSystem.information(path) != nil else { return nil }
    let file = try fileSystem.open(path, .read)
    let size = try file.size()
    let bytes = try file.read(count: headerBytes, at: 0)
    guard let checkpoint = CheckpointFile(bytes.rawSpan, shardCount: shardCount) else { return nil }
    var offset = Int64(headerBytes)
    for number in 0..<shardCount {
      let place = Place(header: bytes.rawSpan, shard: number)
      let head = try file.read(count: shardHeaderBytes, at: offset)
      guard let count = contentBytes(head.rawSpan, limit: size - offset) else { return nil }
      let content = try file.read(count: shardHeaderBytes + count, at: offset)
      guard content.count == shardHeaderBytes + count,
        let shard = decode(content.rawSpan, place)
      else { return nil }
      body(shard)
      offset += Int64(content.count)
    }
    try file.close()
    return offset == size ? checkpoint : nil
  }

  private init?(_ bytes: RawSpan, shardCount: Int) {
    guard bytes.byteCount == CheckpointFile.headerBytes,
      bytes.loadLittleEndian(UInt64.self, at: 0) == CheckpointFile.magic,
      bytes.loadLittleEndian(UInt32.self, at: 8) == CheckpointFile.formatVersion,
      bytes.loadLittleEndian(UInt32.self, at: 12) == UInt32(clamping: shardCount),
      bytes.loadLittleEndian(UInt32.self, at: CheckpointFile.headerChecksumOffset)
        == CRC32C(of: bytes.extracting(first: CheckpointFile.headerChecksumOffset)).masked
    else { return nil }
    store = StoreIdentifier(
      high: bytes.loadLittleEndian(UInt64.self, at: 16),
      low: bytes.loadLittleEndian(UInt64.self, at: 24))
    lsn = bytes.loadLittleEndian(Int64.self, at: 32)
    seed = bytes.loadLittleEndian(UInt64.self, at: 40)
    lastWriteTime = bytes.loadLittleEndian(Int64.self, at: 48)
    firstSegment = bytes.loadLittleEndian(UInt32.self, at: 56)
    guard 0...LogLimits.lastLSN ~= lsn else { return nil }
  }

  init(
    store: StoreIdentifier, lsn: LogSequenceNumber, seed: UInt64, lastWriteTime: Int64,
    firstSegment: UInt32
  ) {
    self.store = store
    self.lsn = lsn
    self.seed = seed
    self.lastWriteTime = lastWriteTime
    self.firstSegment = firstSegment
  }

  /// How many bytes follow a shard's header; nil when the file cannot have them.
  private static func contentBytes(_ head: RawSpan, limit: Int64) -> Int? {
    guard head.byteCount == shardHeaderBytes else { return nil }
    let entries = head.loadLittleEndian(UInt64.self, at: 0)
    let groups = Int64(head.loadLittleEndian(UInt32.self, at: 16))
    guard entries <= UInt64(limit) / UInt64(entryBytes) else { return nil }
    let count = Int64(entries) * Int64(entryBytes) + groups * Int64(groupBytes)
    return count <= limit - Int64(shardHeaderBytes) ? Int(count) : nil
  }

  private static func decode(_ bytes: RawSpan, _ place: Place) -> Shard? {
    guard bytes.loadLittleEndian(UInt32.self, at: checksumOffset) == place.checksum(bytes) else {
      return nil
    }
    var shard = Shard()
    let keyCount = bytes.loadLittleEndian(Int64.self, at: 0)
    shard.liveBytes = Int(bytes.loadLittleEndian(Int64.self, at: 8))
    // A checksum is no signature: sums of what cannot be would overflow.
    guard 0...largestLogBytes ~= shard.liveBytes else { return nil }
    var offset = shardHeaderBytes
    for _ in 0..<bytes.loadLittleEndian(UInt32.self, at: 16) {
      var group = OnlineStore.GroupStatistics()
      group.liveKeys = Int(bytes.loadLittleEndian(Int64.self, at: offset + 8))
      group.deletedKeys = Int(bytes.loadLittleEndian(Int64.self, at: offset + 16))
      guard 0...keyCount ~= Int64(group.liveKeys), 0...keyCount ~= Int64(group.deletedKeys) else {
        return nil
      }
      shard.groups[bytes.loadLittleEndian(UInt32.self, at: offset)] = group
      offset += groupBytes
    }
    let words = (bytes.byteCount - offset) / 8
    shard.entries = unsafe [UInt64](unsafeUninitializedCapacity: words) { buffer, filled in
      for index in 0..<words {
        unsafe buffer[index] = bytes.loadLittleEndian(UInt64.self, at: offset + index * 8)
      }
      filled = words
    }
    return shard
  }
}
