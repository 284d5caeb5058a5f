internal import Glibc

extension [UInt8] {
  /// How many bytes come before the zeros that end the array.
  ///
  /// Compares blocks, for what is looked at is mostly the rest of a file that was filled in advance:
  /// megabytes of zeros.
  public var countBeforeTrailingZeros: Int {
    let zeros = [UInt8](repeating: 0, count: 4096)
    return unsafe withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return 0 }
      var end = bytes.count
      while end >= zeros.count,
        unsafe memcmp(start + (end - zeros.count), zeros, zeros.count) == 0
      {
        end -= zeros.count
      }
      while end > 0, unsafe bytes[end - 1] == 0 { end -= 1 }
      return end
    }
  }
}
