internal import JSON
internal import Storage

/// Reads an object container file from memory: its header, then block by block.
///
///     "Obj" 1 | metadata map | sync (16) | { count | size | data | sync }*
///
/// Every block's sync marker is compared; a file that ends within a block is an error.
public struct AvroFileReader: Sendable {
  /// What one may ask of memory.
  public struct Limits: Hashable, Sendable {
    /// The largest block, decompressed: writers end one after 16 KiB to a few MiB.
    public var blockSizeBytes = 64 << 20

    public init() {}
  }

  /// What the writer put into the header, values as bytes.
  public let metadata: [String: [UInt8]]
  public let schema: AvroSchema
  /// The schema's text in the header, for whoever keeps what is made of it; nil for one that is too long to be kept.
  public let keptSchemaText: [UInt8]?
  public let codec: AvroCodec

  private let bytes: [UInt8]
  private let limits: Limits
  private let syncMarker: ArraySlice<UInt8>
  private var position: Int

  private static let syncSize = 16

  /// Reads the header.
  public init(_ bytes: [UInt8], limits: Limits = Limits()) throws(AvroError) {
    guard bytes.starts(with: [0x4F, 0x62, 0x6A, 1]) else {
      throw AvroError("this is no Avro object container file", byteOffset: 0)
    }
    var metadata: [String: [UInt8]] = [:]
    var decoder = AvroDecoder(bytes, in: 4..<bytes.count)
    try AvroFileReader.forEachValue(&decoder) { key, value in metadata[key] = Array(bytes[value]) }
    let start = decoder.position
    guard decoder.remaining >= AvroFileReader.syncSize else {
      throw AvroError("the header has no sync marker", byteOffset: start)
    }
    guard let schemaText = metadata["avro.schema"] else {
      throw AvroError("the header has no schema")
    }
    let codecName = metadata["avro.codec"].map { String(decoding: $0, as: UTF8.self) } ?? "null"
    guard let codec = AvroCodec(rawValue: codecName) else {
      throw AvroError("codec '\(codecName)' is not supported")
    }
    keptSchemaText = schemaText.count <= AvroFileReader.maximumKeptSchemaBytes ? schemaText : nil
    schema = try AvroFileReader.schema(schemaText, isKept: keptSchemaText != nil)
    self.metadata = metadata
    self.codec = codec
    self.bytes = bytes
    self.limits = limits
    position = start + AvroFileReader.syncSize
    syncMarker = bytes[start..<position]
  }

  /// The files of a table repeat one another's schema, and to parse it takes longer than to read a few
  /// entries.
  private static let schemas = SmallCache<[UInt8], AvroSchema>(capacity: 16)
  /// Longer texts are parsed each time, which bounds what is kept.
  private static let maximumKeptSchemaBytes = 32 << 10

  private static func schema(_ text: [UInt8], isKept: Bool) throws(AvroError) -> AvroSchema {
    func parse() throws(AvroError) -> AvroSchema {
      let json: JSONValue
      do { json = try JSONValue(parsing: text) } catch {
        throw AvroError("the header's schema is no JSON: \(error)")
      }
      return try AvroSchema(json: json)
    }
    return isKept ? try schemas.value(text, parse) : try parse()
  }

  /// Where in a file's bytes the value of a header's key lies; nil when it has no such key, or the
  /// bytes are no such file.
  public static func location(of key: String, in bytes: [UInt8]) -> Range<Int>? {
    guard bytes.count >= 4 else { return nil }
    var decoder = AvroDecoder(bytes, in: 4..<bytes.count)
    var found: Range<Int>?
    do throws(AvroError) {
      try forEachValue(&decoder) { other, value in if other == key { found = value } }
    } catch { return nil }
    return found
  }

  /// Walks the header's metadata, and stops after it.
  private static func forEachValue(
    _ decoder: inout AvroDecoder, _ visit: (String, Range<Int>) -> Void
  ) throws(AvroError) {
    while true {
      let count = try decoder.readBlockCount()
      if count == 0 { return }
      for _ in 0..<count {
        let key = try decoder.readString()
        let size = try decoder.readBytes().count
        visit(key, (decoder.position - size)..<decoder.position)
      }
    }
  }

  /// A header value as text; nil when it is absent or not UTF-8.
  public func text(_ key: String) -> String? {
    metadata[key].flatMap { String(validating: $0, as: UTF8.self) }
  }

  /// The next block: how many objects it has, and a decoder at the first; nil at the end.
  public mutating func nextBlock() throws(AvroError) -> (count: Int, decoder: AvroDecoder)? {
    guard position < bytes.count else { return nil }
    var header = AvroDecoder(bytes, in: position..<bytes.count)
    let count = try header.readLong()
    let size = try header.readLong()
    guard count >= 0, size >= 0, size <= Int64(header.remaining - AvroFileReader.syncSize) else {
      throw AvroError("a block of \(count) objects in \(size) bytes", byteOffset: position)
    }
    let data = header.position..<(header.position + Int(size))
    let sync = data.upperBound..<(data.upperBound + AvroFileReader.syncSize)
    guard bytes[sync].elementsEqual(syncMarker) else {
      throw AvroError("a block does not end with the sync marker", byteOffset: sync.lowerBound)
    }
    position = sync.upperBound
    let decoder: AvroDecoder
    if codec == .null {
      decoder = AvroDecoder(bytes, in: data)
    } else {
      decoder = AvroDecoder(
        try codec.decompress(Array(bytes[data]), limit: limits.blockSizeBytes))
    }
    guard count <= Int64(decoder.remaining) else {
      throw AvroError(
        "a block of \(count) objects in \(decoder.remaining) bytes", byteOffset: data.lowerBound)
    }
    return (Int(count), decoder)
  }
}
