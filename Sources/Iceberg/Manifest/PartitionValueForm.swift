import Avro
import JSON

/// How a value of a partition tuple is stored, and which type of the table it is to become.
struct PartitionValueForm: Sendable {
  private enum Stored: Sendable {
    case boolean, int, long, float, double, string, bytes
    case fixed(Int)
    case decimalBytes(scale: Int)
    case decimalFixed(Int, scale: Int)
  }

  private let nulls: AvroNulls
  private let stored: Stored
  /// The type that the stored form alone says.
  private let storedType: IcebergType
  private let type: IcebergType

  /// - Parameter type: what the partition spec says; nil when its source column is gone.
  init(_ field: AvroField, type: IcebergType?) throws(IcebergError) {
    let slot = try AvroSlot(field)
    let scale = slot.schema.attributes["scale"]?.int64Value.flatMap { Int(exactly: $0) } ?? 0
    let logical = slot.schema.logicalType
    nulls = slot.nulls
    switch slot.schema.shape {
    case .boolean: (stored, storedType) = (.boolean, .boolean)
    case .int: (stored, storedType) = (.int, logical == "date" ? .date : .int)
    case .long: (stored, storedType) = (.long, PartitionValueForm.longType(slot.schema))
    case .float: (stored, storedType) = (.float, .float)
    case .double: (stored, storedType) = (.double, .double)
    case .string: (stored, storedType) = (.string, .string)
    case .bytes where logical == "decimal":
      (stored, storedType) = (.decimalBytes(scale: scale), .decimal(precision: 38, scale: scale))
    case .bytes: (stored, storedType) = (.bytes, .binary)
    case .fixed(_, let size) where logical == "decimal":
      (stored, storedType) = (
        .decimalFixed(size, scale: scale), .decimal(precision: 38, scale: scale)
      )
    case .fixed(_, let size):
      (stored, storedType) = (.fixed(size), logical == "uuid" && size == 16 ? .uuid : .fixed(size))
    default:
      throw IcebergError(
        .invalidMetadata, "partition field '\(field.name)' is stored as \(slot.schema.json)")
    }
    self.type = type ?? storedType
  }

  private static func longType(_ schema: AvroSchema) -> IcebergType {
    let isUTC = schema.attributes["adjust-to-utc"]?.boolValue ?? false
    return switch schema.logicalType {
    case "time-micros": .time
    case "timestamp-micros": isUTC ? .timestamptz : .timestamp
    case "timestamp-nanos": isUTC ? .timestamptzNs : .timestampNs
    default: .long
    }
  }

  func read(_ decoder: inout AvroDecoder) throws(AvroError) -> Literal? {
    guard try decoder.readPresence(nulls) else { return nil }
    let value: Literal? =
      switch stored {
      case .boolean: .boolean(try decoder.readBoolean())
      case .int: integer(Int64(try decoder.readInt()))
      case .long: integer(try decoder.readLong())
      case .float: Literal.float(try decoder.readFloat()).promoted(to: type)
      case .double: Literal.double(try decoder.readDouble()).promoted(to: type)
      case .string: .string(try decoder.readString())
      case .bytes: raw(try decoder.readBytes())
      case .fixed(let size): raw(try decoder.readFixed(size))
      case .decimalBytes(let scale): decimal(try decoder.readBytes(), scale: scale)
      case .decimalFixed(let size, let scale): decimal(try decoder.readFixed(size), scale: scale)
      }
    guard let value, value.fits(type) else {
      throw AvroError("a partition value stored as \(storedType) is no \(type)")
    }
    return value
  }

  /// A number as the type has it: engines differ in how they mark dates and times, so the table's
  /// type decides what it means.
  private func integer(_ value: Int64) -> Literal? {
    switch type {
    case .int: Int32(exactly: value).map { .int($0) }
    case .date: Int32(exactly: value).map { .date($0) }
    case .long: .long(value)
    case .time: .time(value)
    case .timestamp:
      storedType == .date ? dateValue(value)?.promoted(to: type) : .timestamp(value)
    case .timestamptz: .timestamptz(value)
    case .timestampNs:
      storedType == .date ? dateValue(value)?.promoted(to: type) : .timestampNs(value)
    case .timestamptzNs: .timestamptzNs(value)
    default: nil
    }
  }

  private func dateValue(_ value: Int64) -> Literal? { Int32(exactly: value).map { .date($0) } }

  private func raw(_ bytes: [UInt8]) -> Literal? {
    switch type {
    case .binary: return .binary(bytes)
    case .fixed: return .fixed(bytes)
    case .uuid where bytes.count == 16: return .uuid(bytes.reduce(0) { $0 << 8 | UInt128($1) })
    case .decimal(_, let scale): return decimal(bytes, scale: scale)
    default: return nil
    }
  }

  private func decimal(_ bytes: [UInt8], scale: Int) -> Literal? {
    Literal.signedBigEndian(bytes).map { .decimal(unscaled: $0, scale: scale) }
  }
}
