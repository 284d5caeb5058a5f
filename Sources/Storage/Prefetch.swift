public import CSystem

/// Asks the processor to bring memory into its cache while it goes on with other work. Any address will
/// do: what is not there is not asked for, and nothing fails.
public enum Prefetch {
  /// The cache line at the address.
  @inlinable public static func line(_ address: UnsafeRawPointer) {
    unsafe csystem_prefetch(address, 1)
  }

  /// The cache line that an element begins in; nothing for an index that the span does not have.
  @inlinable public static func element<Element: BitwiseCopyable>(
    _ index: Int, of span: Span<Element>
  ) {
    guard index >= 0, index < span.count else { return }
    unsafe span.withUnsafeBufferPointer { elements in
      if let start = elements.baseAddress { unsafe line(start + index) }
    }
  }

  /// So many lines of 64 bytes from the address on.
  @inlinable public static func lines(_ address: UnsafeRawPointer, count: Int) {
    unsafe csystem_prefetch(address, UInt32(truncatingIfNeeded: count))
  }
}
