import CArrow

extension ParquetWriterOptions {
  /// Calls `body` with the options as the glue takes them; the pointers end with the call.
  func withCOptions<Result>(
    _ columns: [ParquetColumnOptions], _ body: (CArrowParquetWriteOptions) -> Result
  ) -> Result {
    var options = unsafe CArrowParquetWriteOptions()
    unsafe (options.compression, options.compressionLevel) = codec
    unsafe options.rowGroupRows = Int64(rowGroupRows)
    unsafe options.pageBytes = Int64(pageBytes)
    unsafe options.pageRows = Int64(pageRows)
    unsafe options.dictionaryBytes = Int64(dictionaryBytes)
    unsafe options.hasPageIndex = hasPageIndex
    unsafe options.hasPageChecksums = hasPageChecksums
    unsafe options.usesThreads = usesThreads
    unsafe options.leafCount = Int32(columns.count)
    let metadata = metadata + (hasFooterChecksums ? ParquetChecksum.placeholders : [])
    unsafe options.metadataCount = Int32(metadata.count)
    let leaves = columns.map(\.cOptions)
    let texts = metadata.map(\.key) + metadata.map(\.value)
    return unsafe leaves.withUnsafeBufferPointer { leaves in
      unsafe options.leaves = leaves.baseAddress
      return unsafe createdBy.withCString { createdBy in
        unsafe options.createdBy = createdBy
        return unsafe withCStrings(texts) { texts in
          unsafe options.metadataKeys = texts.baseAddress
          unsafe options.metadataValues = texts.baseAddress.map { unsafe $0 + metadata.count }
          return unsafe body(options)
        }
      }
    }
  }
}

extension ParquetColumnOptions {
  fileprivate var cOptions: CArrowLeafOptions {
    var options = CArrowLeafOptions()
    let encoding: CArrowEncoding =
      switch encoding {
      case .plain: CArrowEncodingPlain
      case .dictionary: CArrowEncodingDictionary
      case .deltaBinaryPacked: CArrowEncodingDeltaBinaryPacked
      case .byteStreamSplit: CArrowEncodingByteStreamSplit
      }
    options.encoding = Int32(encoding.rawValue)
    options.isCompressed = isCompressed
    options.hasStatistics = hasStatistics
    if let bloomFilter {
      options.hasBloomFilter = true
      options.distinctCount = Int64(bloomFilter.distinctCount ?? 0)
      options.falsePositiveProbability = bloomFilter.falsePositiveProbability
    }
    return options
  }
}

extension ParquetWriterOptions {
  /// How many bytes a page of these has, compressed.
  func compressedBytes(_ bytes: [UInt8]) throws(FileFormatError) -> Int {
    let (compression, level) = codec
    var count: Int64 = 0
    try callArrow(path: "", failure: nil) { status in
      unsafe bytes.withUnsafeBytes {
        unsafe CArrowCompressedBytes(
          compression, level, $0.baseAddress, Int64($0.count), &count, &status)
      }
    }
    return Int(count)
  }

  private var codec: (compression: Int32, level: Int32) {
    switch compression {
    case .none: (Int32(CArrowCompressionNone.rawValue), 0)
    case .snappy: (Int32(CArrowCompressionSnappy.rawValue), 0)
    case .zstandard(let level):
      (Int32(CArrowCompressionZstandard.rawValue), Int32(clamping: level))
    }
  }
}

/// Calls `body` with the texts as zero-terminated strings.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
  let copies = unsafe texts.map { text in
    let bytes = Array(text.utf8CString)
    let memory = UnsafeMutableBufferPointer<CChar>.allocate(capacity: bytes.count)
    _ = unsafe memory.initialize(from: bytes)
    return unsafe memory
  }
  defer {
    for index in unsafe copies.indices { unsafe copies[index].deallocate() }
  }
  let pointers = unsafe copies.map { unsafe UnsafePointer($0.baseAddress) }
  return unsafe pointers.withUnsafeBufferPointer { unsafe body($0) }
}
