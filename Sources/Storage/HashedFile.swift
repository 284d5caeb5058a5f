/// A file that is written from its start without gaps, and the SHA-256 of that.
public final class HashedFile: File {
  private let file: any File
  private let state = Lock((hash: SHA256(), byteOffset: Int64(0)))

  public init(_ file: any File) { self.file = file }

  /// In hexadecimal, of what was written so far.
  public var digest: String { state.withLock { $0.hash.hexadecimal } }

  public var path: String { file.path }

  public func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    unsafe try file.write(bytes, at: byteOffset)
    let span = unsafe RawSpan(_unsafeBytes: bytes)
    try state.withLock { state throws(StorageError) in
      guard byteOffset == state.byteOffset else {
        throw StorageError(
          .inputOutput, operation: "write", path: path, message: "it is not written in order")
      }
      state.hash.update(span)
      state.byteOffset += Int64(span.byteCount)
    }
  }

  public func size() throws(StorageError) -> Int64 { try file.size() }

  public func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    unsafe try file.read(into: buffer, at: byteOffset)
  }

  public func beginWriteback(at byteOffset: Int64, count: Int) {
    file.beginWriteback(at: byteOffset, count: count)
  }

  public func synchronizeData() throws(StorageError) { try file.synchronizeData() }

  public func truncate(to sizeBytes: Int64) throws(StorageError) {
    try file.truncate(to: sizeBytes)
  }

  public func allocate(sizeBytes: Int64) throws(StorageError) {
    try file.allocate(sizeBytes: sizeBytes)
  }

  public func discardCache() throws(StorageError) { try file.discardCache() }

  public func close() throws(StorageError) { try file.close() }
}
