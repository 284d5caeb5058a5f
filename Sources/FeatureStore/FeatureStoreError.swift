/// Why the store refused or failed: a code for programs, a message for people.
public struct FeatureStoreError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure this is. A struct, so that a new kind breaks nobody's switch.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    private enum Value: String, Sendable {
      case notAStore, alreadyExists, notFound, invalidArgument, invalidInput, locked, corrupt
      case storage, full, readOnly, permissionDenied, poisoned, conflict, commitStateUnknown,
        timeout, closed, stale
    }

    private var value: Value

    /// The directory holds no store, or one of a newer format.
    public static let notAStore = Code(value: .notAStore)
    /// A store, group, view or file of that name is there already.
    public static let alreadyExists = Code(value: .alreadyExists)
    /// No group, view, feature, snapshot or input file of that name.
    public static let notFound = Code(value: .notFound)
    /// An argument, definition or option is not allowed.
    public static let invalidArgument = Code(value: .invalidArgument)
    /// Input data is malformed, or a record does not fit its group.
    public static let invalidInput = Code(value: .invalidInput)
    /// Another process writes to this store, or maintains this table.
    public static let locked = Code(value: .locked)
    /// Stored data fails its checks.
    public static let corrupt = Code(value: .corrupt)
    /// Reading or writing failed.
    public static let storage = Code(value: .storage)
    /// The device is full.
    public static let full = Code(value: .full)
    /// The store was opened for reading, or the file system is read-only.
    public static let readOnly = Code(value: .readOnly)
    public static let permissionDenied = Code(value: .permissionDenied)
    /// An earlier write failed; nothing is accepted until the store is opened again.
    public static let poisoned = Code(value: .poisoned)
    /// Another writer changed the table, again and again.
    public static let conflict = Code(value: .conflict)
    /// Whether a commit happened is not known; nothing was deleted, and the next run finds out.
    public static let commitStateUnknown = Code(value: .commitStateUnknown)
    public static let timeout = Code(value: .timeout)
    /// The store was closed; open it again to write.
    public static let closed = Code(value: .closed)
    /// The writer has removed what this reader wanted to see: refresh it, or open it again.
    public static let stale = Code(value: .stale)

    public var description: String { value.rawValue }
  }

  public var code: Code
  /// What failed, with the value, and what to do about it.
  public var message: String
  /// The error below, if there is one.
  public var cause: (any Error)?

  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  public var description: String { message }
}
