extension RawSpan {
  /// The little-endian integer at `byteOffset`, aligned or not. The caller has checked the length.
  @inlinable public func loadLittleEndian<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ type: Integer.Type, at byteOffset: Int
  ) -> Integer {
    Integer(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: byteOffset, as: type))
  }
}

extension MutableRawSpan {
  /// Writes the integer at `byteOffset`, little-endian; bounds-checked.
  @inlinable @_lifetime(self: copy self)
  public mutating func storeLittleEndian<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ integer: Integer, at byteOffset: Int
  ) {
    storeBytes(of: integer.littleEndian, toByteOffset: byteOffset, as: Integer.self)
  }

  /// Copies bytes in; bounds-checked.
  @_lifetime(self: copy self)
  public mutating func store(_ source: RawSpan, at byteOffset: Int) {
    precondition(byteOffset >= 0 && byteOffset <= byteCount - source.byteCount, "out of bounds")
    guard source.byteCount > 0 else { return }
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[byteOffset...])
          .copyMemory(from: source)
      }
    }
  }
}

extension [UInt8] {
  /// The bytes, for as long as the array is borrowed.
  public var rawSpan: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }

  /// Writes the integer at `byteOffset`, little-endian, over what is there.
  @inlinable public mutating func storeLittleEndian<Integer: FixedWidthInteger>(
    _ integer: Integer, at byteOffset: Int
  ) {
    precondition(byteOffset >= 0 && byteOffset + MemoryLayout<Integer>.size <= count)
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: integer.littleEndian, toByteOffset: byteOffset, as: Integer.self)
    }
  }

  @inlinable public mutating func appendLittleEndian<Integer: FixedWidthInteger>(
    _ integer: Integer
  ) {
    unsafe Swift.withUnsafeBytes(of: integer.littleEndian) { unsafe append(contentsOf: $0) }
  }

  @inlinable public mutating func append(contentsOf bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}
