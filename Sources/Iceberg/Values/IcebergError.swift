public import Storage

/// What went wrong with a table, its metadata or a commit.
public struct IcebergError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// Metadata, a manifest or a value that breaks the specification, or was damaged.
    case invalidMetadata
    /// Legal, but something that we do not do.
    case unsupported
    /// The caller asked for something that makes no sense.
    case invalidArgument
    case notFound
    case alreadyExists
    /// Somebody else committed first; the only kind worth a retry.
    case commitConflict
    /// The commit may or may not have happened: nothing that it wrote may be deleted.
    case commitStateUnknown
    /// A commit that can never succeed on the table as it is now.
    case validationFailed
    /// The caller asked for an end before it was reached.
    case cancelled
    /// Reading or writing failed below us.
    case inputOutput
  }

  /// One fact about where it happened.
  public struct Context: Hashable, Sendable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  public var kind: Kind
  public var message: String
  /// Innermost first.
  public var context: [Context]
  /// The failure of a file operation below, if that is the cause: a full disk, a lacking permission.
  public var storageError: StorageError?
  /// Of a failed commit to a catalog that writes metadata files itself: the files of that attempt. It
  /// happened if one is in the table's log or is the table's current one, and not otherwise.
  public var attemptedMetadata: [String] = []

  public init(
    _ kind: Kind, _ message: String, context: [Context] = [], storageError: StorageError? = nil
  ) {
    self.kind = kind
    self.message = message
    self.context = context
    self.storageError = storageError
  }

  /// Whether the same commit, rebuilt from the table's new head, may succeed.
  public var isRetryable: Bool { kind == .commitConflict }

  /// The same error with one more fact.
  public func adding(_ name: String, _ value: String) -> IcebergError {
    var copy = self
    copy.context.append(Context(name, value))
    return copy
  }

  /// The same error of a commit that wrote these metadata files.
  func attempting(_ locations: [String]) -> IcebergError {
    var copy = self
    copy.attemptedMetadata = locations
    return copy
  }

  public var description: String {
    guard !context.isEmpty else { return message }
    let facts = context.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
    return "\(message) (\(facts))"
  }
}
