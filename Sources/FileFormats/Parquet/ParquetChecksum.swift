import Storage

/// Checksums of what a Parquet file says of its own data, which the format gives none: pages have theirs, but a
/// changed bit of a bound or of a bloom filter lets readers skip rows that are there.
///
///     | magic | pages of all row groups | bloom filters, page index | footer | length, magic |
///                                         `indexKey` covers these     `footerKey` covers this
///
/// Both are values of the footer's key-value metadata, eight digits each, which are zeros to the footer's own
/// checksum. Other writers do not leave them, and other readers pass over them.
enum ParquetChecksum {
  static let footerKey = "fstore.checksum"
  static let indexKey = "fstore.index-checksum"
  private static let zeros = CRC32C.noDigits

  /// What the metadata has until the file is whole.
  static let placeholders = [indexKey, footerKey].map {
    (key: $0, value: String(decoding: zeros, as: UTF8.self))
  }

  /// Where the footer of a file is, by the length that the file ends with; nil when it cannot be there.
  static func footer(ofFileEndingIn bytes: RawSpan, sizeBytes: Int64) -> Range<Int64>? {
    guard bytes.byteCount >= 8 else { return nil }
    let length = Int64(bytes.loadLittleEndian(UInt32.self, at: bytes.byteCount - 8))
    let end = sizeBytes - 8
    return length > 0 && length <= end ? (end - length)..<end : nil
  }

  /// Where bloom filters and page index are; nil when the footer says of the pages what cannot be.
  static func index(before footer: Range<Int64>, _ rowGroups: [ParquetRowGroup]) -> Range<Int64>? {
    guard let last = rowGroups.last else { return nil }
    let (start, overflow) = last.startByteOffset.addingReportingOverflow(last.compressedBytes)
    guard !overflow, start >= 0, start <= footer.lowerBound else { return nil }
    return start..<footer.lowerBound
  }

  /// Puts the checksums into a file that has the placeholders and is whole but for them.
  static func seal(
    _ file: any File, sizeBytes: Int64, rowGroups: [ParquetRowGroup]
  ) throws(StorageError) {
    let end = try file.read(count: 8, at: sizeBytes - 8)
    guard let range = footer(ofFileEndingIn: end.rawSpan, sizeBytes: sizeBytes) else { return }
    var footer = try file.read(count: range.count, at: range.lowerBound)
    if let place = place(of: indexKey, in: footer.rawSpan),
      let index = index(before: range, rowGroups)
    {
      footer.replaceSubrange(place, with: try checksum(of: index, in: file).digits)
    }
    guard let place = place(of: footerKey, in: footer.rawSpan) else { return }
    footer.replaceSubrange(place, with: CRC32C(of: footer.rawSpan).digits)
    try file.write(footer, at: range.lowerBound)
  }

  /// Whether the footer is as it was written; also true of one without a checksum.
  static func isWhole(footer: RawSpan) -> Bool {
    guard let place = place(of: footerKey, in: footer) else { return true }
    let checksum = CRC32C(of: footer, withoutDigitsAt: place)
    return footer.extracting(place).elementsEqual(checksum.digits)
  }

  /// Whether bloom filters and page index are as they were written.
  ///
  /// - Parameter digits: what the footer says of them.
  static func isWhole(
    index: Range<Int64>, of file: any File, digits: String
  ) throws(StorageError) -> Bool {
    try checksum(of: index, in: file).digits == Array(digits.utf8)
  }

  static func mismatch(_ path: String) -> FileFormatError {
    FileFormatError(
      .malformed, path: path, message: "the footer is not as it was written: its checksum is wrong")
  }

  private static func checksum(
    of range: Range<Int64>, in file: any File
  ) throws(StorageError) -> CRC32C {
    var checksum = CRC32C()
    var next = range.lowerBound
    while next < range.upperBound {
      let bytes = try file.read(count: Int(min(range.upperBound - next, 1 << 20)), at: next)
      if bytes.isEmpty { break }
      checksum.update(bytes.rawSpan)
      next += Int64(bytes.count)
    }
    return checksum
  }

  /// Where the digits are: behind the key, and Thrift's type and length of eight bytes. The last such place,
  /// since whatever else the footer has of the writer's comes before.
  private static func place(of key: String, in footer: RawSpan) -> Range<Int>? {
    let pattern = Array(key.utf8) + [0x18, UInt8(zeros.count)]
    let size = pattern.count + zeros.count
    guard footer.byteCount >= size else { return nil }
    var start = footer.byteCount - size
    while start >= 0 {
      if footer.extracting(start..<(start + pattern.count)).elementsEqual(pattern) {
        return (start + pattern.count)..<(start + size)
      }
      start -= 1
    }
    return nil
  }
}

extension RawSpan {
  fileprivate func elementsEqual(_ bytes: [UInt8]) -> Bool {
    guard byteCount == bytes.count else { return false }
    for index in bytes.indices {
      // Within both, by the check above.
      guard unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self) == bytes[index] else {
        return false
      }
    }
    return true
  }
}
