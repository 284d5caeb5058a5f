/// Byte strings of many rows or keys, one behind the other in one allocation.
public struct EncodedRows: Sendable {
  public private(set) var bytes: [UInt8]
  /// Where each row begins, and where the last one ends.
  public private(set) var offsets: [Int]

  public init() {
    bytes = []
    offsets = [0]
  }

  /// Rows of the given sizes, all zero, to be filled column by column.
  init(sizes: [Int]) {
    var offsets = [0]
    offsets.reserveCapacity(sizes.count + 1)
    var end = 0
    for size in sizes {
      end += size
      offsets.append(end)
    }
    self.offsets = offsets
    bytes = [UInt8](repeating: 0, count: end)
  }

  public var count: Int { offsets.count - 1 }

  /// The bytes of one row; valid while `self` is.
  public subscript(index: Int) -> RawSpan {
    @_lifetime(borrow self)
    get {
      let row = bytes.rawBytes.extracting(offsets[index]..<offsets[index + 1])
      return unsafe _overrideLifetime(row, borrowing: self)
    }
  }

  /// What some of the rows take.
  public func sizeBytes(_ rows: Range<Int>) -> Int {
    offsets[rows.upperBound] - offsets[rows.lowerBound]
  }

  /// A copy of one row.
  public func array(_ index: Int) -> [UInt8] { Array(bytes[offsets[index]..<offsets[index + 1]]) }

  /// Adds a copy of a row that was encoded before.
  public mutating func append(_ row: RawSpan) {
    unsafe row.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    offsets.append(bytes.count)
  }

  public mutating func append(_ row: [UInt8]) {
    bytes += row
    offsets.append(bytes.count)
  }

  /// Makes room for so many bytes in so many rows.
  public mutating func reserveCapacity(rowCount: Int, sizeBytes: Int) {
    offsets.reserveCapacity(offsets.count + rowCount)
    bytes.reserveCapacity(bytes.count + sizeBytes)
  }

  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    offsets.append(0)
  }

  /// Lets `body` fill the rows in place.
  mutating func fill(_ body: (inout MutableRawSpan, [Int]) -> Void) {
    let offsets = offsets
    var elements = bytes.mutableSpan
    var memory = unsafe elements.mutableBytes
    body(&memory, offsets)
  }
}

extension [UInt8] {
  /// The bytes as raw memory; safe, for bytes have no padding.
  var rawBytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }
}

extension RawSpan {
  /// A fixed-width value at any offset; nil when it would reach beyond the end.
  @inline(__always)
  func value<Value: BitwiseCopyable>(at byteOffset: Int, as _: Value.Type) -> Value? {
    guard byteOffset >= 0, byteOffset <= byteCount - MemoryLayout<Value>.size else { return nil }
    return unsafe unsafeLoadUnaligned(fromByteOffset: byteOffset, as: Value.self)
  }

  /// Part of the bytes; nil when it would reach beyond the end.
  @_lifetime(copy self)
  func part(at byteOffset: Int, count: Int) -> RawSpan? {
    guard byteOffset >= 0, count >= 0, byteOffset <= byteCount - count else { return nil }
    return extracting(byteOffset..<(byteOffset + count))
  }

  func array() -> [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}

extension MutableRawSpan {
  /// Stores a fixed-width value, bounds-checked.
  @inline(__always) @_lifetime(self: copy self)
  mutating func store<Value: BitwiseCopyable>(_ value: Value, at byteOffset: Int) {
    storeBytes(of: value, toByteOffset: byteOffset, as: Value.self)
  }

  /// Copies bytes in, bounds-checked.
  @_lifetime(self: copy self)
  mutating func store(bytes source: RawSpan, at byteOffset: Int) {
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
