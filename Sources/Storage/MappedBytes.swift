internal import Glibc

/// A file's first bytes as memory, read-only, shared with the page cache: what is written to the file
/// afterwards is seen at once. Unmapped with the last reference. Thread-safe.
///
/// A read beyond the end of a file that was truncated meanwhile ends the process (SIGBUS), so only files
/// that nobody shortens while they are mapped may be mapped.
@safe public final class MappedBytes: @unchecked Sendable {
  // Unchecked: nothing is written through it.
  public let count: Int
  private let start: UnsafeRawPointer
  /// Who keeps the memory; nil when it is the kernel's mapping.
  private let owner: AnyObject?

  /// nil when the system cannot map the file.
  init?(descriptor: Int32, count: Int) {
    guard count > 0,
      let start = unsafe mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0),
      unsafe start != MAP_FAILED
    else { return nil }
    self.count = count
    unsafe self.start = UnsafeRawPointer(start)
    owner = nil
  }

  /// Memory that `owner` keeps and changes as the file changes: for a file system that is not the
  /// kernel's. It must stay where it is as long as `owner` lives.
  @unsafe package init(_ bytes: UnsafeRawBufferPointer, keptBy owner: AnyObject) {
    guard let start = bytes.baseAddress else { preconditionFailure("memory has a place") }
    count = bytes.count
    unsafe self.start = start
    self.owner = owner
  }

  deinit {
    if owner == nil { unsafe munmap(UnsafeMutableRawPointer(mutating: start), count) }
  }

  /// The bytes, for those who keep the object alive by other means while they read: counting references
  /// a read would make threads wait for each other.
  @unsafe public var unownedBytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: start, count: count)
  }
}
