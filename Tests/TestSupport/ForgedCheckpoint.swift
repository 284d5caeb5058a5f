import Storage

/// Makes every checksum of a checkpoint of the online index (the file INDEX) right, as far as its lengths
/// allow: what a fault that knows the format would do.
public func forgeChecksums(ofCheckpoint index: inout [UInt8]) {
  guard index.count >= 64 else { return }
  let header = CRC32C(of: index.rawSpan.extracting(first: 60)).masked
  index.storeLittleEndian(header, at: 60)
  var offset = 64
  var shard: UInt64 = 0
  while offset + 24 <= index.count {
    let entries = Int(index.rawSpan.loadLittleEndian(UInt64.self, at: offset) & 0xFFFF)
    let groups = Int(index.rawSpan.loadLittleEndian(UInt32.self, at: offset + 16) & 0xFFFF)
    let end = min(index.count, offset + 24 + groups * 24 + entries * 16)
    var sum = CRC32C()
    sum.update(UInt64(header) | shard << 32)
    sum.update(index.rawSpan.extracting(offset..<offset + 20))
    sum.update(index.rawSpan.extracting(offset + 24..<end))
    let masked = sum.masked
    index.storeLittleEndian(masked, at: offset + 20)
    offset = end
    shard += 1
  }
}
