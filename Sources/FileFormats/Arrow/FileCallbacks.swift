import CArrow
import Storage

/// A file as the glue's source. It remembers the first failure, which C++ could not carry.
final class FileSource {
  let file: any File
  private(set) var failure: StorageError?

  init(_ file: any File) { self.file = file }

  /// The callbacks, holding a reference of their own.
  func source() throws(StorageError) -> CArrowSource {
    let sizeBytes = try file.size()
    return unsafe CArrowSource(
      context: Unmanaged.passRetained(self).toOpaque(), sizeBytes: sizeBytes,
      readAt: { context, byteOffset, buffer, length in
        guard let context = unsafe context, let buffer = unsafe buffer else { return -1 }
        let source = unsafe Unmanaged<FileSource>.fromOpaque(context).takeUnretainedValue()
        return unsafe source.read(
          UnsafeMutableRawBufferPointer(start: buffer, count: Int(length)), at: byteOffset)
      },
      release: { context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<FileSource>.fromOpaque(context).release()
      })
  }

  private func read(_ buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64) -> Int64 {
    do {
      return Int64(unsafe try file.read(into: buffer, at: byteOffset))
    } catch {
      failure = failure ?? error
      return -1
    }
  }
}

/// A file as the glue's sink, written from its start without gaps.
final class FileSink {
  let file: any File
  private(set) var failure: StorageError?
  private var byteOffset: Int64 = 0
  /// Up to where the file is being brought to the disk.
  private var writebackOffset: Int64 = 0

  private static let writebackBytes: Int64 = 8 << 20
  private static let blockBytes: Int64 = 4096

  init(_ file: any File) { self.file = file }

  func sink() -> CArrowSink {
    unsafe CArrowSink(
      context: Unmanaged.passRetained(self).toOpaque(),
      write: { context, bytes, length in
        guard let context = unsafe context else { return false }
        let sink = unsafe Unmanaged<FileSink>.fromOpaque(context).takeUnretainedValue()
        return unsafe sink.write(UnsafeRawBufferPointer(start: bytes, count: Int(length)))
      },
      release: { context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<FileSink>.fromOpaque(context).release()
      })
  }

  /// A large file is brought to the disk while it is written, not when it is whole and somebody waits.
  private func beginWriteback() {
    // The last block is still to be filled.
    let count = (byteOffset - writebackOffset) & -FileSink.blockBytes
    guard count >= FileSink.writebackBytes else { return }
    file.beginWriteback(at: writebackOffset, count: Int(count))
    writebackOffset += count
  }

  private func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard failure == nil else { return false }
    do {
      unsafe try file.write(bytes, at: byteOffset)
      byteOffset += Int64(bytes.count)
      beginWriteback()
      return true
    } catch {
      failure = error
      return false
    }
  }
}
