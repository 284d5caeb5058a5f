import JSON

/// Builds an object container file in memory, object by object.
///
/// The header is made at the end, so that its metadata may depend on what was written.
public struct AvroFileWriter: Sendable {
  /// Where a block is closed; about Java's 64,000.
  public static let blockSizeBytes = 65_536

  public let codec: AvroCodec
  public private(set) var objectCount: Int64 = 0

  private let syncMarker: [UInt8]
  private var blocks: [UInt8] = []
  private var pending = AvroEncoder()
  private var pendingCount: Int64 = 0

  public init(codec: AvroCodec = .deflate) {
    var generator = SystemRandomNumberGenerator()
    self.init(codec: codec, using: &generator)
  }

  /// - Parameter generator: makes the sync marker.
  public init(codec: AvroCodec, using generator: inout some RandomNumberGenerator) {
    self.codec = codec
    syncMarker = [generator.next(), generator.next()].flatMap { (half: UInt64) in
      (0..<8).map { UInt8(truncatingIfNeeded: half >> (8 * $0)) }
    }
  }

  /// The size of what was written so far, the header apart; what is not compressed yet counts
  /// in full.
  public var bytesSoFar: Int { blocks.count + pending.count }

  /// Adds one object, which `encode` writes.
  public mutating func append<E: Error>(
    _ encode: (inout AvroEncoder) throws(E) -> Void
  ) throws(E) {
    try encode(&pending)
    pendingCount += 1
    objectCount += 1
  }

  /// Closes the current block when it is full: call it after each object.
  public mutating func closeFullBlock() throws(AvroError) {
    if pending.count >= AvroFileWriter.blockSizeBytes { try closeBlock() }
  }

  private mutating func closeBlock() throws(AvroError) {
    guard pendingCount > 0 else { return }
    let data = try codec.compress(pending.bytes)
    var header = AvroEncoder()
    header.writeLong(pendingCount)
    header.writeLong(Int64(data.count))
    blocks.append(contentsOf: header.bytes)
    blocks.append(contentsOf: data)
    blocks.append(contentsOf: syncMarker)
    pending.removeAll()
    pendingCount = 0
  }

  /// The whole file. `metadata` must not contain `avro.schema` and `avro.codec`.
  public consuming func finish(
    schema: AvroSchema, metadata: [(key: String, value: String)]
  ) throws(AvroError) -> [UInt8] {
    try finish(schemaText: schema.json.utf8(), metadata: metadata)
  }

  /// The same with the schema's JSON text, for those who write many files with one schema.
  public consuming func finish(
    schemaText: [UInt8], metadata: [(key: String, value: String)]
  ) throws(AvroError) -> [UInt8] {
    try closeBlock()
    var header = AvroEncoder()
    header.writeFixed([0x4F, 0x62, 0x6A, 1])
    header.writeBlockCount(metadata.count + 2)
    header.writeString("avro.schema")
    header.writeBytes(schemaText)
    header.writeString("avro.codec")
    header.writeString(codec.rawValue)
    for (key, value) in metadata {
      header.writeString(key)
      header.writeString(value)
    }
    header.writeBlockEnd()
    header.writeFixed(syncMarker)
    return header.bytes + blocks
  }
}
