extension File {
  /// Files that cannot be given space without writing are written.
  public func allocate(sizeBytes: Int64) throws(StorageError) {
    try fillWithZeros(upTo: sizeBytes)
  }

  func fillWithZeros(upTo sizeBytes: Int64) throws(StorageError) {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    var offset = try size()
    while offset < sizeBytes {
      let count = Int(min(Int64(zeros.count), sizeBytes - offset))
      try write(zeros.rawSpan.extracting(first: count), at: offset)
      offset += Int64(count)
    }
  }

  /// Up to `count` bytes from `byteOffset`; fewer when the file ends before.
  public func read(count: Int, at byteOffset: Int64) throws(StorageError) -> [UInt8] {
    precondition(count >= 0, "no negative count")
    var failure: StorageError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(StorageError) {
        unsafe filled = try read(into: UnsafeMutableRawBufferPointer(buffer), at: byteOffset)
      } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  public func write(_ bytes: [UInt8], at byteOffset: Int64) throws(StorageError) {
    var failure: StorageError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(StorageError) { unsafe try write(buffer, at: byteOffset) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Writes the span's bytes.
  public func write(_ bytes: RawSpan, at byteOffset: Int64) throws(StorageError) {
    var failure: StorageError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(StorageError) { unsafe try write(buffer, at: byteOffset) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
