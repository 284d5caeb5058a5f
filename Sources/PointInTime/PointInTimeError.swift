/// Why a join could not be set up or fed: always the caller's input, never the data's values.
public struct PointInTimeError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// Columns of different lengths, or another number of key columns than the spine has.
    case shape
    /// A column of a type that cannot stand there.
    case type
    /// A negative ttl.
    case timeToLive
    /// A negative offset.
    case offset
    /// More rows, keys or bytes than 32-bit positions can name.
    case tooLarge
  }

  public var kind: Kind
  public var message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }
}
