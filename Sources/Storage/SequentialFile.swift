internal import Glibc

/// A file that is only ever written, from its start and without gaps: standard output, a pipe.
///
/// What a pipe's reader does not want any more is an error like any other (`EPIPE`), if the process
/// ignores the signal. Used by one thread at a time.
public final class SequentialFile: File {
  public let path: String
  private let descriptor: Int32
  private let position = Lock(Int64(0))

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  /// The process's standard output, which stays open.
  public static func standardOutput() -> SequentialFile {
    SequentialFile(path: "standard output", descriptor: STDOUT_FILENO)
  }

  /// How many bytes were written.
  public func size() throws(StorageError) -> Int64 { position.withLock { $0 } }

  public func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    guard byteOffset == (position.withLock { $0 }) else { throw cannot("write with gaps to") }
    var done = 0
    while done < bytes.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = try retryingInterrupts("write", path) {
        unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
      }
      guard count > 0 else {
        throw StorageError(errorNumber: EIO, operation: "write", path: path)
      }
      done += count
      position.withLock { $0 += Int64(count) }
    }
  }

  public func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    throw cannot("read from")
  }

  public func truncate(to sizeBytes: Int64) throws(StorageError) { throw cannot("truncate") }

  public func allocate(sizeBytes: Int64) throws(StorageError) { throw cannot("allocate") }

  // A pipe has no disk, and whoever has standard output may want to write on.
  public func synchronizeData() throws(StorageError) {}
  public func discardCache() throws(StorageError) {}
  public func close() throws(StorageError) {}

  private func cannot(_ operation: String) -> StorageError {
    StorageError(
      .inputOutput, operation: operation, path: path, message: "it is written from start to end")
  }
}
