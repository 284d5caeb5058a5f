/// Why a definition, a name, a value or a record was refused; nothing was written.
public struct FeatureModelError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    case invalidName
    case invalidType
    case invalidDefinition
    case invalidValue
    case missingValue
    case unknownFeature
    case malformedRow
  }

  public var kind: Kind
  /// What is wrong, with the value, and what is allowed.
  public var message: String
  /// The column that the value was for, where there is one.
  public var column: String?

  public init(_ kind: Kind, _ message: String, column: String? = nil) {
    self.kind = kind
    self.message = message
    self.column = column
  }

  public var description: String { message }
}
