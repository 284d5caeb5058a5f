import Storage

/// The bytes of a file from front to back: read in blocks, used up in records.
struct BlockReader {
  private let file: any File
  private var byteOffset: Int64 = 0
  /// What has been read and not dropped; `start...` of it has not been used.
  private(set) var bytes: [UInt8] = []
  private(set) var start = 0
  /// Whether the file has no more than `bytes`.
  private(set) var isAtEnd = false

  private let sizeBytes: Int64

  /// What is appended to the file later is not read.
  init(_ file: any File) throws(FileFormatError) {
    self.file = file
    do throws(StorageError) {
      sizeBytes = try file.size()
    } catch {
      throw FileFormatError(error, path: file.path)
    }
  }

  /// How many bytes are there to be used.
  var available: Int { bytes.count - start }

  mutating func use(_ count: Int) { start += count }

  /// Reads until `count` bytes are there to be used, or the file ends.
  mutating func fill(_ count: Int) throws(FileFormatError) {
    guard !isAtEnd, available < count else { return }
    bytes.removeFirst(start)
    start = 0
    while bytes.count < count {
      let left = Int(clamping: max(0, sizeBytes - byteOffset))
      let wanted = min(count - bytes.count, left, 4 << 20)
      let (block, failure) = wanted == 0 ? ([], nil) : read(wanted)
      if let failure { throw FileFormatError(failure, path: file.path) }
      bytes.append(contentsOf: block)
      byteOffset += Int64(block.count)
      // Also when the file has become shorter.
      if block.count < wanted || byteOffset >= sizeBytes {
        isAtEnd = true
        return
      }
    }
  }

  private func read(_ count: Int) -> (block: [UInt8], failure: StorageError?) {
    var failure: StorageError?
    let block = unsafe [UInt8](unsafeUninitializedCapacity: count) { memory, got in
      do throws(StorageError) {
        got = unsafe try file.read(into: UnsafeMutableRawBufferPointer(memory), at: byteOffset)
      } catch {
        failure = error
      }
    }
    return (block, failure)
  }
}
