import CZlib
import CZstd

/// How the blocks of a file are compressed.
public enum AvroCodec: String, Hashable, Sendable {
  case null
  /// Raw deflate, which Iceberg's options call gzip.
  case deflate
  case zstandard
}

extension AvroCodec {
  func compress(_ bytes: [UInt8]) throws(AvroError) -> [UInt8] {
    switch self {
    case .null: bytes
    case .deflate: try AvroCodec.deflate(bytes)
    case .zstandard: try AvroCodec.compressZstandard(bytes)
    }
  }

  /// Decompresses a block; more than `limit` bytes are an error, and never allocated.
  func decompress(_ bytes: [UInt8], limit: Int) throws(AvroError) -> [UInt8] {
    switch self {
    case .null: bytes
    case .deflate: try AvroCodec.inflate(bytes, limit: limit)
    case .zstandard: try AvroCodec.decompressZstandard(bytes, limit: limit)
    }
  }

  private static let chunkSize = 65_536

  private static func tooLarge(_ limit: Int) -> AvroError {
    AvroError("a block is larger than \(limit) bytes when decompressed")
  }

  /// Half the time of the usual level, for some per cent more bytes.
  private static let deflateLevel: Int32 = 3

  private static func deflate(_ bytes: [UInt8]) throws(AvroError) -> [UInt8] {
    var stream = unsafe z_stream()
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    guard
      unsafe deflateInit2_(
        &stream, deflateLevel, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        size) == Z_OK
    else { throw AvroError("deflate cannot start") }
    defer { unsafe _ = deflateEnd(&stream) }
    guard let count = UInt32(exactly: bytes.count) else {
      throw AvroError("a block of \(bytes.count) bytes is too large to compress")
    }
    let bound = Int(unsafe deflateBound(&stream, UInt(count)))
    guard let capacity = UInt32(exactly: bound) else {
      throw AvroError("a block of \(bytes.count) bytes is too large to compress")
    }
    var status = Z_STREAM_ERROR
    let output = unsafe [UInt8](unsafeUninitializedCapacity: bound) { buffer, written in
      unsafe bytes.withUnsafeBufferPointer { source in
        // zlib does not write there, though its type does not say so.
        unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
        unsafe stream.avail_in = count
        unsafe stream.next_out = buffer.baseAddress
        unsafe stream.avail_out = capacity
        unsafe status = CZlib.deflate(&stream, Z_FINISH)
      }
      unsafe written = bound - Int(stream.avail_out)
    }
    guard status == Z_STREAM_END else { throw AvroError("deflate failed with status \(status)") }
    return output
  }

  private static func inflate(_ bytes: [UInt8], limit: Int) throws(AvroError) -> [UInt8] {
    var stream = unsafe z_stream()
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    guard unsafe inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, size) == Z_OK else {
      throw AvroError("inflate cannot start")
    }
    defer { unsafe _ = inflateEnd(&stream) }
    guard let count = UInt32(exactly: bytes.count) else {
      throw AvroError("a block of \(bytes.count) bytes is too large to decompress")
    }
    var output: [UInt8] = []
    // What small blocks become fits into the first piece.
    var room = min(chunkSize, 1024 + 8 * bytes.count)
    var status = Z_OK
    unsafe bytes.withUnsafeBufferPointer { source in
      // zlib does not write there, though its type does not say so.
      unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
      unsafe stream.avail_in = count
      while status == Z_OK, output.count <= limit {
        let piece = unsafe [UInt8](unsafeUninitializedCapacity: room) { target, produced in
          unsafe stream.next_out = target.baseAddress
          unsafe stream.avail_out = UInt32(room)
          unsafe status = CZlib.inflate(&stream, Z_NO_FLUSH)
          produced = unsafe room - Int(stream.avail_out)
        }
        if piece.isEmpty, status == Z_OK { status = Z_BUF_ERROR }
        if output.isEmpty { output = piece } else { output += piece }
        room = chunkSize
      }
    }
    guard output.count <= limit else { throw tooLarge(limit) }
    guard status == Z_STREAM_END else {
      throw AvroError("a block is no complete deflate data (status \(status))")
    }
    return output
  }

  private static func compressZstandard(_ bytes: [UInt8]) throws(AvroError) -> [UInt8] {
    let bound = ZSTD_compressBound(bytes.count)
    var result = 0
    let output = unsafe [UInt8](unsafeUninitializedCapacity: bound) { buffer, written in
      unsafe result = bytes.withUnsafeBytes { source in
        unsafe ZSTD_compress(buffer.baseAddress, bound, source.baseAddress, source.count, 3)
      }
      written = ZSTD_isError(result) == 0 ? result : 0
    }
    guard ZSTD_isError(result) == 0 else { throw AvroError("zstandard cannot compress a block") }
    return output
  }

  private static func decompressZstandard(
    _ bytes: [UInt8], limit: Int
  ) throws(AvroError) -> [UInt8] {
    guard let context = unsafe ZSTD_createDCtx() else {
      throw AvroError("zstandard cannot start")
    }
    defer { unsafe _ = ZSTD_freeDCtx(context) }
    // The window, which the frame asks for, stays below 128 MiB.
    _ = unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27)
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: chunkSize)
    var status = 1
    unsafe bytes.withUnsafeBytes { source in
      var input = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
      var isStuck = false
      while unsafe !isStuck && (input.pos < input.size || status != 0), output.count <= limit {
        let produced = unsafe chunk.withUnsafeMutableBytes { target in
          var buffer = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
          let before = unsafe input.pos
          unsafe status = ZSTD_decompressStream(context, &buffer, &input)
          unsafe isStuck = buffer.pos == 0 && input.pos == before
          return unsafe buffer.pos
        }
        if ZSTD_isError(status) != 0 { return }
        output.append(contentsOf: chunk[..<produced])
      }
    }
    guard output.count <= limit else { throw tooLarge(limit) }
    guard status == 0 else { throw AvroError("a block is no complete zstandard data") }
    return output
  }
}
