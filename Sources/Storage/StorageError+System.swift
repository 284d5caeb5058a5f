internal import CSystem
internal import Glibc

extension StorageError {
  /// What an errno means for us, with the system's own words.
  init(errorNumber: Int32, operation: String, path: String) {
    let kind: Kind =
      switch errorNumber {
      case ENOENT: .notFound
      case EEXIST, ENOTEMPTY: .exists
      case EAGAIN: .locked
      case ENOSPC, EDQUOT, EFBIG: .full
      case EACCES, EPERM: .permissionDenied
      case EROFS: .readOnly
      case EISDIR: .isDirectory
      case ENOTDIR: .notDirectory
      default: .inputOutput
      }
    self.init(
      kind, operation: operation, path: path, errorNumber: errorNumber,
      message: StorageError.systemMessage(errorNumber))
  }

  private static func systemMessage(_ errorNumber: Int32) -> String {
    guard let text = unsafe csystem_error_message(errorNumber) else {
      return "error \(errorNumber)"
    }
    return unsafe String(cString: text)
  }
}

/// Calls `body` again while a signal interrupts it; returns its value or throws its errno.
func retryingInterrupts(
  _ operation: String, _ path: String, _ body: () -> Int
) throws(StorageError) -> Int {
  while true {
    let result = body()
    if result >= 0 { return result }
    let number = errno
    if number != EINTR {
      throw StorageError(errorNumber: number, operation: operation, path: path)
    }
  }
}
