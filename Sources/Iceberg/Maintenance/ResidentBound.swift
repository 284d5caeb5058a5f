import FileFormats
import Storage

/// Keeps what allocators hold on to from adding to a limit on memory.
///
/// Large buffers come and go with every batch and every row group, in several threads, and what is freed is kept for the
/// next one: measured, as much again as what is in use. Once the process has grown to most of its limit that goes back
/// to the system, which costs new pages; with a limit that is not nearly reached it never happens.
final class ResidentBound: Sendable {
  private let start: Int64
  private let limitBytes: Int64
  /// What was resident after the last release.
  private let released = Lock(Int64(0))

  /// - Parameter limitBytes: by how much the process may grow from now on.
  init(limitBytes: Int64) {
    start = ProcessUsage.residentBytes ?? 0
    self.limitBytes = limitBytes
  }

  /// To be called between batches, by any thread.
  func keep() {
    guard let now = ProcessUsage.residentBytes, now - start > limitBytes / 8 * 5 else { return }
    released.withLock { last in
      // Where most of it is in use there is not much to be had.
      guard now - last > limitBytes / 16 else { return }
      UnusedMemory.release()
      last = ProcessUsage.residentBytes ?? now
    }
  }
}
