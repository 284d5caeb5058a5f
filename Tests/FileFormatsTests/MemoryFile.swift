import Storage
import Synchronization

/// A file in memory that can be made to fail.
final class MemoryFile: File {
  let path: String
  private struct State {
    var bytes: [UInt8] = []
    var reads = 0
    var readBytes = 0
    var writes = 0
  }
  private let state: Mutex<State>
  /// Writes that would grow the file beyond this fail as on a full disk.
  let capacity: Int
  /// Reads from this offset fail.
  let unreadableFrom: Int64

  init(
    _ bytes: [UInt8] = [], path: String = "/memory/file", capacity: Int = .max,
    unreadableFrom: Int64 = .max
  ) {
    self.path = path
    self.capacity = capacity
    self.unreadableFrom = unreadableFrom
    state = Mutex(State(bytes: bytes))
  }

  var bytes: [UInt8] { state.withLock { $0.bytes } }
  var readCount: Int { state.withLock { $0.reads } }
  var readByteCount: Int { state.withLock { $0.readBytes } }
  var writeCount: Int { state.withLock { $0.writes } }

  func size() throws(StorageError) -> Int64 { state.withLock { Int64($0.bytes.count) } }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    let count = state.withLock { state -> Int? in
      state.reads += 1
      let first = min(Int(byteOffset), state.bytes.count)
      let count = min(buffer.count, state.bytes.count - first)
      if Int64(first + count) > unreadableFrom { return nil }
      state.readBytes += count
      state.bytes[first..<(first + count)].withUnsafeBytes { buffer.copyMemory(from: $0) }
      return count
    }
    guard let count else {
      throw StorageError(.inputOutput, operation: "read", path: path, message: "bad sector")
    }
    return count
  }

  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    let isFull = state.withLock { state in
      state.writes += 1
      let end = Int(byteOffset) + bytes.count
      if end > capacity { return true }
      if state.bytes.count < end {
        state.bytes += Array(repeating: 0, count: end - state.bytes.count)
      }
      state.bytes.replaceSubrange(Int(byteOffset)..<end, with: bytes)
      return false
    }
    if isFull {
      throw StorageError(
        .full, operation: "write", path: path, errorNumber: 28, message: "No space left on device")
    }
  }

  func synchronizeData() throws(StorageError) {}
  func truncate(to sizeBytes: Int64) throws(StorageError) {}
  func discardCache() throws(StorageError) {}
  func close() throws(StorageError) {}
}
