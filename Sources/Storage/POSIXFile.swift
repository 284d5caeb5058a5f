internal import CSystem
internal import Glibc
internal import Synchronization

/// A descriptor. `close()` must not race with other calls: its number may be given to another file.
final class POSIXFile: File {
  let path: String
  /// -1 once closed.
  private let descriptor: Atomic<Int32>

  init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = Atomic(descriptor)
  }

  deinit { closeDescriptor() }

  private var number: Int32 { descriptor.load(ordering: .relaxed) }

  func requireRegular(operation: String) throws(StorageError) {
    let kind = try status().st_mode & S_IFMT
    guard kind != S_IFDIR else {
      throw StorageError(errorNumber: EISDIR, operation: operation, path: path)
    }
    guard kind == S_IFREG else {
      throw StorageError(
        .inputOutput, operation: operation, path: path, message: "it is no regular file")
    }
  }

  func size() throws(StorageError) -> Int64 { try information().sizeBytes }

  func information() throws(StorageError) -> FileInformation { FileInformation(try status()) }

  private func status() throws(StorageError) -> stat {
    var status = stat()
    _ = try retryingInterrupts("examine", path) { Int(unsafe fstat(number, &status)) }
    return status
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try retryingInterrupts("read", path) {
        unsafe pread(number, rest.baseAddress, rest.count, off_t(byteOffset) + off_t(done))
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    var done = 0
    while done < bytes.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = try retryingInterrupts("write", path) {
        unsafe pwrite(number, rest.baseAddress, rest.count, off_t(byteOffset) + off_t(done))
      }
      // A count of zero for a positive length would make this loop endless.
      guard count > 0 else {
        throw StorageError(errorNumber: EIO, operation: "write", path: path)
      }
      done += count
    }
  }

  func beginWriteback(at byteOffset: Int64, count: Int) {
    csystem_begin_writeback(number, byteOffset, Int64(count))
  }

  func synchronizeData() throws(StorageError) {
    _ = try retryingInterrupts("synchronize", path) { Int(fdatasync(number)) }
  }

  func map(count: Int) -> MappedBytes? { MappedBytes(descriptor: number, count: count) }

  func truncate(to sizeBytes: Int64) throws(StorageError) {
    _ = try retryingInterrupts("truncate", path) { Int(ftruncate(number, off_t(sizeBytes))) }
  }

  func allocate(sizeBytes: Int64) throws(StorageError) {
    let status = posix_fallocate(number, 0, off_t(sizeBytes))
    if status == 0 { return }
    guard status == EOPNOTSUPP || status == EINVAL || status == ENOSYS else {
      throw StorageError(errorNumber: status, operation: "allocate", path: path)
    }
    // This file system cannot promise space without writing.
    try fillWithZeros(upTo: sizeBytes)
  }

  func discardCache() throws(StorageError) {
    // Only clean pages can be dropped; what is dirty would be read from memory again.
    let status = posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED)
    if status != 0 {
      throw StorageError(errorNumber: status, operation: "discard cache", path: path)
    }
  }

  func close() throws(StorageError) {
    let status = closeDescriptor()
    // After EINTR the descriptor is gone on Linux: closing again could close another's file.
    if status != 0, errno != EINTR {
      throw StorageError(errorNumber: errno, operation: "close", path: path)
    }
  }

  @discardableResult private func closeDescriptor() -> Int32 {
    let number = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
    return number >= 0 ? Glibc.close(number) : 0
  }
}
