public import Storage

/// Why a file could not be read or written: which file, what kind of trouble, and the details.
public struct FileFormatError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// The bytes are not what the format says, or damaged.
    case malformed
    /// Reading would hold more memory than the options allow.
    case memoryLimit
    /// The file is correct but uses what is not supported here.
    case unsupported
    /// Reading or writing the file itself failed; `storageError` says how.
    case storage
    /// The caller asked for what the file or the schema does not have.
    case invalidArgument
  }

  public var kind: Kind
  /// The file.
  public var path: String
  public var message: String
  /// The cause, when `kind` is `.storage`.
  public var storageError: StorageError?

  public init(_ kind: Kind, path: String, message: String, storageError: StorageError? = nil) {
    self.kind = kind
    self.path = path
    self.message = message
    self.storageError = storageError
  }

  init(_ error: StorageError, path: String) {
    self.init(.storage, path: path, message: error.description, storageError: error)
  }

  public var description: String {
    // A storage error names its file itself.
    storageError == nil ? "'\(path)': \(message)" : message
  }
}
