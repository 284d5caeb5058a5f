import CArrow
import Storage

/// A C function's outcome as a Swift error.
extension FileFormatError {
  /// - Parameter failure: what a callback met, which counts more than what the library made of it.
  init(_ status: CArrowStatus, path: String, failure: StorageError?) {
    if let failure {
      self.init(failure, path: path)
      return
    }
    let message = unsafe withUnsafeBytes(of: status.message) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let kind: Kind =
      switch CArrowCode(UInt32(bitPattern: status.code)) {
      case CArrowCodeMemory: .memoryLimit
      case CArrowCodeUnsupported: .unsupported
      default: .malformed
      }
    self.init(kind, path: path, message: message)
  }
}

/// Calls into the glue; throws what its status says.
@inline(__always)
func callArrow(
  path: String, failure: @autoclosure () -> StorageError?,
  _ call: (inout CArrowStatus) -> Bool
) throws(FileFormatError) {
  var status = CArrowStatus()
  if !call(&status) { throw FileFormatError(status, path: path, failure: failure()) }
}
