internal import Storage
internal import Synchronization

/// A file that knows how far it has been read, for progress.
final class MeasuredFile: File {
  private let file: any File
  private let furthest = Atomic<Int64>(0)

  init(_ file: any File) { self.file = file }

  /// The end of the furthest read.
  var bytesRead: Int64 { furthest.load(ordering: .relaxed) }

  var path: String { file.path }

  func size() throws(StorageError) -> Int64 { try file.size() }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    let count = unsafe try file.read(into: buffer, at: byteOffset)
    _ = furthest.max(byteOffset + Int64(count), ordering: .relaxed)
    return count
  }

  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    unsafe try file.write(bytes, at: byteOffset)
  }

  func synchronizeData() throws(StorageError) { try file.synchronizeData() }

  func truncate(to sizeBytes: Int64) throws(StorageError) { try file.truncate(to: sizeBytes) }

  func discardCache() throws(StorageError) { try file.discardCache() }

  func close() throws(StorageError) { try file.close() }
}
