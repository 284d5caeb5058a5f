internal import Glibc

/// Standard output as a file, for writers that go from its start without gaps: a pipe takes nothing else. It is
/// never closed. A reader that goes away ends the process by a signal, as it does for other commands.
public final class StandardOutput: File {
  private let written = Lock(Int64(0))

  public init() {}

  public var path: String { "standard output" }

  public func size() throws(StorageError) -> Int64 { written.withLock { $0 } }

  public func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    let failure = written.withLock { position -> StorageError? in
      guard byteOffset == position else { return impossible("write out of order") }
      do throws(StorageError) {
        var done = 0
        while done < bytes.count {
          let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
          let count = try retryingInterrupts("write", path) {
            unsafe Glibc.write(STDOUT_FILENO, rest.baseAddress, rest.count)
          }
          guard count > 0 else {
            throw StorageError(errorNumber: EIO, operation: "write", path: path)
          }
          done += count
        }
        position += Int64(bytes.count)
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
  }

  public func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int { throw impossible("read") }

  /// A pipe has no disk.
  public func synchronizeData() throws(StorageError) {}

  public func truncate(to sizeBytes: Int64) throws(StorageError) { throw impossible("truncate") }

  public func allocate(sizeBytes: Int64) throws(StorageError) { throw impossible("allocate") }

  public func discardCache() throws(StorageError) {}

  public func close() throws(StorageError) {}

  private func impossible(_ operation: String) -> StorageError {
    StorageError(
      .inputOutput, operation: operation, path: path,
      message: "standard output can only be written to, from its start on")
  }
}
