import CZlib

/// Reads gzip, in which some engines store table metadata.
enum Gzip {
  /// Whether bytes start as a gzip file does.
  static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B]) }

  /// The uncompressed content, of at most `maximumSizeBytes`: a small file can claim to be huge.
  static func decompress(
    _ bytes: [UInt8], maximumSizeBytes: Int
  ) throws(IcebergError) -> [UInt8] {
    guard bytes.count <= Int(UInt32.max) else {
      throw IcebergError(.unsupported, "compressed metadata of \(bytes.count) bytes")
    }
    var stream = unsafe z_stream()
    // 16 over the largest window asks zlib for the gzip header and its checksum.
    let started = unsafe inflateInit2_(
      &stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard started == Z_OK else {
      throw IcebergError(.inputOutput, "zlib could not start (\(started))")
    }
    defer { unsafe inflateEnd(&stream) }
    var input = bytes
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    var status = Z_OK
    unsafe input.withUnsafeMutableBufferPointer { source in
      unsafe stream.next_in = source.baseAddress
      unsafe stream.avail_in = UInt32(source.count)
      while status == Z_OK, output.count <= maximumSizeBytes {
        let produced = unsafe chunk.withUnsafeMutableBufferPointer { target in
          unsafe stream.next_out = target.baseAddress
          unsafe stream.avail_out = UInt32(target.count)
          status = unsafe inflate(&stream, Z_NO_FLUSH)
          return unsafe target.count - Int(stream.avail_out)
        }
        output.append(contentsOf: chunk[..<produced])
        if status == Z_BUF_ERROR { return }
      }
    }
    guard output.count <= maximumSizeBytes else {
      throw IcebergError(
        .invalidMetadata, "compressed metadata is larger than \(maximumSizeBytes) bytes")
    }
    guard status == Z_STREAM_END else {
      throw IcebergError(.invalidMetadata, "gzip data is damaged or cut short (\(status))")
    }
    return output
  }
}
