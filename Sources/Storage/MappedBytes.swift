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

  /// Whether the memory is the kernel's page cache.
  public var isOfPageCache: Bool { owner == nil }

  /// How many of the bytes the page cache has now; 0 where the system does not say. Costs a system call
  /// for each 65,536 pages.
  public var residentBytes: Int {
    let pageBytes = max(Int(sysconf(Int32(_SC_PAGESIZE))), 1)
    let pageCount = (count + pageBytes - 1) / pageBytes
    var pages = [UInt8](repeating: 0, count: min(pageCount, 65_536))
    var resident = 0
    var first = 0
    while first < pageCount {
      let some = min(pages.count, pageCount - first)
      let length = min(some * pageBytes, count - first * pageBytes)
      let address = unsafe UnsafeMutableRawPointer(mutating: start) + first * pageBytes
      guard unsafe mincore(address, length, &pages) == 0 else { return 0 }
      for page in 0..<some where pages[page] & 1 != 0 {
        resident += min(pageBytes, count - (first + page) * pageBytes)
      }
      first += some
    }
    return resident
  }

  /// Enters into the page tables what the page cache holds of the file, so that first reads of it need no
  /// fault. Reads nothing from the disk. Costs about 25 microseconds a mebibyte.
  public func populateResidentPages() {
    let pageBytes = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))
    // Two megabytes at a time where pages have 4 KiB: what a table of the lowest level covers.
    var residency = [UInt8](repeating: 0, count: 512)
    let stepBytes = residency.count * pageBytes
    let address = unsafe UnsafeMutableRawPointer(mutating: start)
    for offset in stride(from: 0, to: count, by: stepBytes) {
      let length = min(stepBytes, count - offset)
      guard unsafe mincore(address + offset, length, &residency) == 0 else { return }
      let pageCount = (length + pageBytes - 1) / pageBytes
      guard residency[..<pageCount].allSatisfy({ $0 & 1 == 1 }) else { continue }
      // Advice: a kernel that does not know it (before 5.14) leaves the faults to the first reads.
      _ = unsafe madvise(address + offset, length, MADV_POPULATE_READ)
    }
  }

  /// The bytes, for those who keep the object alive by other means while they read: counting references
  /// a read would make threads wait for each other.
  @unsafe public var unownedBytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: start, count: count)
  }
}
