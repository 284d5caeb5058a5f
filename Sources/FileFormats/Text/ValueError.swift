/// Why a text is no value of a type, as the rest of a sentence about it: "is not an integer".
public struct ValueError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String

  public init(_ message: String) { self.message = message }

  public var description: String { message }
}
