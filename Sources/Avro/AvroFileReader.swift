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

  /// Where in the file the values lie that the writer put into the header, by their keys.
  public let places: [String: Range<Int>]
  public let schema: AvroSchema
  /// The schema's text in the header, for whoever keeps what is made of it; nil for one that is too long to be kept.
  public let keptSchemaText: AvroSchemaText?
  public let codec: AvroCodec

  private let bytes: [UInt8]
  private let limits: Limits
  private let syncMarker: ArraySlice<UInt8>
  private var position: Int

  private static let syncSize = 16

  /// Reads the header.
  public init(_ bytes: [UInt8], limits: Limits = Limits()) throws(AvroError) {
    var decoder = try AvroFileReader.afterMagic(bytes)
    let places = try AvroFileReader.readPlaces(&decoder)
    let start = decoder.position
    guard decoder.remaining >= AvroFileReader.syncSize else {
      throw AvroError("the header has no sync marker", byteOffset: start)
    }
    guard let schemaText = places["avro.schema"].map({ Array(bytes[$0]) }) else {
      throw AvroError("the header has no schema")
    }
    let codecName =
      places["avro.codec"].map { String(decoding: bytes[$0], as: UTF8.self) } ?? "null"
    guard let codec = AvroCodec(rawValue: codecName) else {
      throw AvroError("codec '\(codecName)' is not supported")
    }
    keptSchemaText =
      schemaText.count <= AvroFileReader.maximumKeptSchemaBytes
      ? AvroSchemaText(bytes: schemaText) : nil
    schema = try AvroFileReader.schema(schemaText, keptAs: keptSchemaText)
    self.places = places
    self.codec = codec
    self.bytes = bytes
    self.limits = limits
    position = start + AvroFileReader.syncSize
    syncMarker = bytes[start..<position]
  }

  /// The files of a table repeat one another's schema, and to parse it takes longer than to read a few
  /// entries.
  private static let schemas = SmallCache<AvroSchemaText, AvroSchema>(capacity: 16)
  /// Longer texts are parsed each time, which bounds what is kept.
  private static let maximumKeptSchemaBytes = 32 << 10

  private static func schema(
    _ text: [UInt8], keptAs key: AvroSchemaText?
  ) throws(AvroError) -> AvroSchema {
    func parse() throws(AvroError) -> AvroSchema {
      let json: JSONValue
      do { json = try JSONValue(parsing: text) } catch {
        throw AvroError("the header's schema is no JSON: \(error)")
      }
      return try AvroSchema(json: json)
    }
    return if let key { try schemas.value(key, parse) } else { try parse() }
  }

  /// The same of a file of which nothing but that is asked.
  public static func places(in bytes: [UInt8]) throws(AvroError) -> [String: Range<Int>] {
    var decoder = try afterMagic(bytes)
    return try readPlaces(&decoder)
  }

  private static func afterMagic(_ bytes: [UInt8]) throws(AvroError) -> AvroDecoder {
    guard bytes.starts(with: [0x4F, 0x62, 0x6A, 1]) else {
      throw AvroError("this is no Avro object container file", byteOffset: 0)
    }
    return AvroDecoder(bytes, in: 4..<bytes.count)
  }

  /// Reads the header's metadata, up to the sync marker after it.
  private static func readPlaces(
    _ decoder: inout AvroDecoder
  ) throws(AvroError) -> [String: Range<Int>] {
    var places: [String: Range<Int>] = Dictionary(minimumCapacity: 16)
    while case let count = try decoder.readBlockCount(), count > 0 {
      for _ in 0..<count { places[try decoder.readString()] = try decoder.skipBytes() }
    }
    return places
  }

  /// A header value as bytes; nil when it is absent.
  public func value(_ key: String) -> [UInt8]? { places[key].map { Array(bytes[$0]) } }

  /// A header value as text; nil when it is absent or not UTF-8.
  public func text(_ key: String) -> String? {
    places[key].flatMap { String(validating: bytes[$0], as: UTF8.self) }
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
