internal import CSystem
internal import Glibc
internal import Synchronization

/// A lock of an open file description (F_OFD_SETLK): it excludes other opens in this process too,
/// and closing another descriptor of the file does not drop it. The file is never removed.
final class POSIXFileLock: FileLock {
  private let file: POSIXFile
  /// -1 once released.
  private let descriptor: Atomic<Int32>

  init(path: String, holder: String) throws(StorageError) {
    let descriptor = try retryingInterrupts("lock", path) {
      Int(unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600))
    }
    let number = Int32(truncatingIfNeeded: descriptor)
    file = POSIXFile(path: path, descriptor: number)
    self.descriptor = Atomic(-1)
    let status = csystem_lock_exclusively(number)
    if status == EAGAIN || status == EACCES {
      let text = try String(decoding: file.read(count: 512, at: 0), as: UTF8.self)
      throw StorageError(
        .locked, operation: "lock", path: path, errorNumber: status,
        message: "it is held by \(text.isEmpty ? "another process" : text)")
    }
    if status != 0 { throw StorageError(errorNumber: status, operation: "lock", path: path) }
    self.descriptor.store(number, ordering: .relaxed)
    let text = "\(holder), pid \(getpid()) on \(POSIXFileLock.hostName), since \(Self.now)"
    try file.truncate(to: 0)
    try file.write(Array(text.utf8), at: 0)
  }

  deinit { release() }

  func release() {
    let number = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
    if number < 0 { return }
    // A child process that another thread forks just now has the description too, until it runs its
    // program; the lock must not live on there.
    _ = csystem_unlock(number)
    // The lock is gone with the descriptor, whatever close reports; there is nobody to tell.
    do { try file.close() } catch {}
  }

  private static var hostName: String {
    var bytes = [CChar](repeating: 0, count: 256)
    let status = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return Int32(-1) }
      return unsafe gethostname(start, buffer.count - 1)
    }
    guard status == 0 else { return "unknown host" }
    let name = bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: name, as: UTF8.self)
  }

  /// The wall clock as 2026-01-31T23:59:59Z, for people.
  private static var now: String {
    var seconds = time(nil)
    var parts = unsafe tm()
    guard unsafe gmtime_r(&seconds, &parts) != nil else { return "unknown" }
    func padded(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
    let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
    let date = "\(year)-\(padded(month))-\(padded(day))"
    return "\(date)T\(padded(hour)):\(padded(minute)):\(padded(second))Z"
  }
}
