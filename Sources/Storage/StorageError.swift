/// Why a file operation failed: what was tried, on which path, and what the system said.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    case notFound
    case exists
    /// Another process (or another open description) holds the lock.
    case locked
    /// No space, or over a quota.
    case full
    case permissionDenied
    case readOnly
    case isDirectory
    case notDirectory
    /// A link on the way leads out of the folders that may be used.
    case outside
    /// Anything else that the device or the kernel reports.
    case inputOutput
  }

  public var kind: Kind
  /// The operation in the imperative: "open", "write", "synchronize".
  public var operation: String
  public var path: String
  /// The system's error number, 0 when there is none.
  public var errorNumber: Int32
  /// What more is to be said, the system's message for example.
  public var message: String

  public init(
    _ kind: Kind, operation: String, path: String, errorNumber: Int32 = 0, message: String
  ) {
    self.kind = kind
    self.operation = operation
    self.path = path
    self.errorNumber = errorNumber
    self.message = message
  }

  public var description: String { "cannot \(operation) '\(path)': \(message)" }
}
