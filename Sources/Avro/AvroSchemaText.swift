internal import Storage

/// The text of a schema, as a key of what is made of it.
public struct AvroSchemaText: Equatable, Sendable {
  let bytes: [UInt8]

  public static func == (left: AvroSchemaText, right: AvroSchemaText) -> Bool {
    left.bytes.hasSameBytes(as: right.bytes)
  }
}
