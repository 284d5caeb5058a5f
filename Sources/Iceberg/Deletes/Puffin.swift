import JSON

/// One blob in a Puffin file.
public struct PuffinBlob: Hashable, Sendable {
  public var type: String
  public var fields: [Int32]
  /// -1 where the snapshot is not known when the file is written.
  public var snapshotID: Int64
  public var sequenceNumber: Int64
  /// From the start of the file.
  public var byteOffset: Int64
  public var sizeBytes: Int64
  public var compressionCodec: String?
  public var properties: [String: String]

  init(json: JSONValue) throws(IcebergError) {
    type = try json.requiredString("type")
    fields = try json.optionalInt32Array("fields") ?? []
    snapshotID = try json.requiredInt64("snapshot-id")
    sequenceNumber = try json.requiredInt64("sequence-number")
    byteOffset = try json.requiredInt64("offset")
    sizeBytes = try json.requiredInt64("length")
    compressionCodec = try json.optionalString("compression-codec")
    properties = try json.stringMap("properties")
  }

  init(
    type: String, fields: [Int32], byteOffset: Int64, sizeBytes: Int64, properties: [String: String]
  ) {
    self.type = type
    self.fields = fields
    snapshotID = -1
    sequenceNumber = -1
    self.byteOffset = byteOffset
    self.sizeBytes = sizeBytes
    self.properties = properties
  }

  var json: JSONValue {
    var object: JSONObject = [
      "type": .string(type), "fields": .array(fields.map { .integer(Int64($0)) }),
      "snapshot-id": .integer(snapshotID), "sequence-number": .integer(sequenceNumber),
      "offset": .integer(byteOffset), "length": .integer(sizeBytes),
    ]
    if let compressionCodec { object["compression-codec"] = .string(compressionCodec) }
    if !properties.isEmpty {
      object["properties"] = .object(
        JSONObject(properties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
    return .object(object)
  }
}

/// The container of deletion vectors and statistics:
///
///     PFA1  blob  blob ...  PFA1  footer (JSON)  its size (4)  flags (4)  PFA1
public enum Puffin {
  static let magic: [UInt8] = Array("PFA1".utf8)
  private static let tailSize = 12

  /// The blobs that a file's footer lists.
  ///
  /// - Throws: `invalidMetadata` for what is no Puffin file, `unsupported` for a compressed footer.
  public static func blobs(_ bytes: [UInt8]) throws(IcebergError) -> [PuffinBlob] {
    guard bytes.count >= 2 * magic.count + tailSize, bytes.starts(with: magic),
      bytes.suffix(magic.count).elementsEqual(magic)
    else { throw IcebergError(.invalidMetadata, "this is no Puffin file") }
    var tail = LittleEndianReader(Array(bytes.suffix(tailSize)))
    let size = Int(try tail.uint32())
    let flags = try tail.uint32()
    guard flags & 1 == 0 else {
      throw IcebergError(.unsupported, "a Puffin file with a compressed footer (flags \(flags))")
    }
    let end = bytes.count - tailSize
    guard size <= end - 2 * magic.count,
      bytes[(end - size - magic.count)..<(end - size)].elementsEqual(magic)
    else { throw IcebergError(.invalidMetadata, "the footer of a Puffin file is damaged") }
    let json: JSONValue
    do { json = try JSONValue(parsing: Array(bytes[(end - size)..<end])) } catch {
      throw IcebergError(.invalidMetadata, "the footer of a Puffin file is no JSON: \(error)")
    }
    var blobs: [PuffinBlob] = []
    for element in try json.requiredArray("blobs") {
      let blob = try PuffinBlob(json: element)
      let (last, overflow) = blob.byteOffset.addingReportingOverflow(blob.sizeBytes)
      guard blob.byteOffset >= 0, blob.sizeBytes >= 0, !overflow, last <= Int64(bytes.count) else {
        throw IcebergError(.invalidMetadata, "a blob lies outside its Puffin file")
      }
      blobs.append(blob)
    }
    return blobs
  }
}

/// Builds a Puffin file in memory.
struct PuffinWriter {
  private(set) var bytes = Puffin.magic
  private(set) var blobs: [PuffinBlob] = []

  /// Adds an uncompressed blob.
  ///
  /// - Returns: where it is.
  mutating func add(
    _ content: [UInt8], type: String, fields: [Int32], properties: [String: String]
  ) -> PuffinBlob {
    let blob = PuffinBlob(
      type: type, fields: fields, byteOffset: Int64(bytes.count), sizeBytes: Int64(content.count),
      properties: properties)
    bytes += content
    blobs.append(blob)
    return blob
  }

  consuming func finish() -> [UInt8] {
    let footer: JSONValue = [
      "blobs": .array(blobs.map(\.json)), "properties": ["created-by": "fstore"],
    ]
    let payload = footer.utf8()
    var tail = LittleEndianWriter()
    tail.append(UInt32(payload.count))
    tail.append(UInt32(0))
    return bytes + Puffin.magic + payload + tail.bytes + Puffin.magic
  }
}
