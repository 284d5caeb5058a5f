/// Bytes that are no legal Avro, or that go beyond what we accept.
public struct AvroError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  /// Where in the file, or in the decompressed block, the trouble was found; nil when it is not
  /// about a place.
  public var byteOffset: Int?

  public init(_ message: String, byteOffset: Int? = nil) {
    self.message = message
    self.byteOffset = byteOffset
  }

  public var description: String {
    byteOffset.map { "\(message) (at byte \($0))" } ?? message
  }
}
