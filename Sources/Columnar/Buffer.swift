/// Immutable memory that a column reads: its own, or borrowed from whoever produced it (Arrow) and
/// given back when the last user is gone.
///
/// Thread-safe: nothing changes after initialisation.
@safe public final class Buffer: @unchecked Sendable {
  // Unchecked: the memory is written before the buffer exists and never after.
  @usableFromInline let start: UnsafeRawPointer?
  public let count: Int
  private let release: (@Sendable () -> Void)?

  /// Takes memory that stays valid until `release` is called, which happens once.
  public init(
    borrowing bytes: UnsafeRawBufferPointer, release: @escaping @Sendable () -> Void
  ) {
    unsafe start = bytes.baseAddress
    count = bytes.count
    self.release = release
  }

  /// Fills new memory of `count` bytes, zeroed first.
  public init<E: Error>(
    count: Int, filling fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void
  ) throws(E) {
    precondition(count >= 0, "a buffer has no negative size")
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 64)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    do {
      unsafe try fill(UnsafeMutableRawBufferPointer(rebasing: memory[..<count]))
    } catch {
      unsafe memory.deallocate()
      throw error
    }
    unsafe start = UnsafeRawPointer(memory.baseAddress)
    self.count = count
    let owned = unsafe OwnedMemory(memory: memory)
    release = { owned.deallocate() }
  }

  /// A copy of the elements' bytes.
  public convenience init<Element: BitwiseCopyable>(copying elements: [Element]) {
    unsafe self.init(count: elements.count * MemoryLayout<Element>.stride) { memory in
      unsafe elements.withUnsafeBytes { source in
        if source.count > 0 { unsafe memory.copyMemory(from: source) }
      }
    }
  }

  deinit { release?() }

  /// The bytes; valid while the buffer lives.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeStart: start ?? Buffer.nowhere, byteCount: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes without a borrow: for views of columns, which hold the buffer themselves.
  @unsafe var unownedBytes: RawSpan {
    @_lifetime(immortal)
    get {
      let span = unsafe RawSpan(_unsafeStart: start ?? Buffer.nowhere, byteCount: count)
      return unsafe _overrideLifetime(span, copying: ())
    }
  }

  /// The bytes for a call into C; the pointer must not outlive the call.
  public func withUnsafeBytes<Result, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> Result
  ) throws(E) -> Result {
    unsafe try body(UnsafeRawBufferPointer(start: start, count: count))
  }

  /// Where an empty span points.
  nonisolated(unsafe) static let nowhere: UnsafeRawPointer = UnsafeRawPointer(
    UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64))
}

/// Memory of our own, wrapped so that a Sendable closure may free it.
@safe private struct OwnedMemory: @unchecked Sendable {
  // Unchecked: only the buffer's last user calls deallocate, once.
  let memory: UnsafeMutableRawBufferPointer
  func deallocate() { unsafe memory.deallocate() }
}
