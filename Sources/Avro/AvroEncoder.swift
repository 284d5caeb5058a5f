/// Writes Avro's binary encoding, value by value.
public struct AvroEncoder: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var count: Int { bytes.count }

  public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  public mutating func writeLong(_ value: Int64) {
    var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  public mutating func writeInt(_ value: Int32) { writeLong(Int64(value)) }

  public mutating func writeBoolean(_ value: Bool) { bytes.append(value ? 1 : 0) }

  public mutating func writeFloat(_ value: Float) { writeLittleEndian(value.bitPattern) }

  public mutating func writeDouble(_ value: Double) { writeLittleEndian(value.bitPattern) }

  public mutating func writeBytes(_ value: [UInt8]) {
    writeLong(Int64(value.count))
    bytes.append(contentsOf: value)
  }

  public mutating func writeString(_ value: String) {
    writeLong(Int64(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  /// Bytes without a length: a fixed.
  public mutating func writeFixed(_ value: [UInt8]) { bytes.append(contentsOf: value) }

  /// The branch of a union `[null, T]`; the value follows when it is there.
  public mutating func writePresence(_ isPresent: Bool) { bytes.append(isPresent ? 2 : 0) }

  /// Announces the items of an array or a map, which follow; after them comes `writeBlockEnd`.
  /// An empty array is `writeBlockEnd` alone.
  public mutating func writeBlockCount(_ count: Int) {
    if count > 0 { writeLong(Int64(count)) }
  }

  public mutating func writeBlockEnd() { bytes.append(0) }

  private mutating func writeLittleEndian(_ value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }
}
