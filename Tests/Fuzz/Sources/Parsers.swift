import Avro
import JSON

/// Avro object container files: an error, or values that are written and read again as themselves.
func fuzzAvro(_ bytes: [UInt8]) {
  var limits = AvroFileReader.Limits()
  limits.blockSizeBytes = 1 << 20
  do {
    var reader = try AvroFileReader(bytes, limits: limits)
    while let (count, decoder) = try reader.nextBlock() {
      var (decoder, skipper) = (decoder, decoder)
      // A record may take no bytes, so a block may claim to have any number of them.
      for _ in 0..<min(count, 1000) {
        _ = try decoder.readValue(reader.schema)
        try skipper.skip(reader.schema)
        // Arrays and maps may state a size, which is believed when they are passed over.
        if hasBlocks(reader.schema) {
          skipper = decoder
        } else {
          require(decoder.position == skipper.position, "skipping ends elsewhere than reading")
        }
      }
    }
  } catch {}
}

/// JSON: an error, or a value that is written and parsed again as itself.
func fuzzJSON(_ bytes: [UInt8]) {
  do {
    let value = try JSONValue(parsing: String(decoding: bytes, as: UTF8.self))
    let again = try JSONValue(parsing: value.text())
    require(again.text() == value.text(), "\(value.text()) is read as \(again.text())")
  } catch {}
}

private func hasBlocks(_ schema: AvroSchema) -> Bool {
  switch schema.shape {
  case .array, .map: true
  case .record(_, let fields): fields.contains { hasBlocks($0.schema) }
  case .union(let branches): branches.contains { hasBlocks($0) }
  default: false
  }
}
