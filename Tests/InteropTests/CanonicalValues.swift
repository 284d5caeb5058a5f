import Columnar
import Iceberg
import JSON

/// Values of any column as JSON that does not depend on who read them: the forms that
/// `Tests/Interop/values.py` describes.
enum Canonical {
  static func rows(_ batch: RecordBatch) -> [JSONValue] {
    let columns = batch.columns.map { values($0) }
    return (0..<batch.rowCount).map { row in .array(columns.map { $0[row] }) }
  }

  static func values(_ column: Column) -> [JSONValue] {
    let children = column.children.map { values($0) }
    return (0..<column.count).map { row in
      column.isNull(row) ? .null : value(column, row, children)
    }
  }

  private static func value(_ column: Column, _ row: Int, _ children: [[JSONValue]]) -> JSONValue {
    switch column.type {
    case .boolean: return .bool(column.boolean(at: row))
    case .int32, .date: return .integer(Int64(column.values(as: Int32.self)[row]))
    case .int64, .time, .timestamp, .timestampNanoseconds:
      return .integer(column.values(as: Int64.self)[row])
    case .float32:
      let value = column.values(as: Float.self)[row]
      return .string(value.isNaN ? "nan" : hexadecimal(value.bitPattern))
    case .float64:
      let value = column.values(as: Double.self)[row]
      return .string(value.isNaN ? "nan" : hexadecimal(value.bitPattern))
    case .decimal: return .string("\(column.values(as: Int128.self)[row])")
    case .string: return .string(column.string(at: row))
    case .binary, .fixedSizeBinary:
      let bytes = column.bytes(at: row)
      return .string(bytes.withUnsafeBytes { $0.map { hexadecimal($0) }.joined() })
    case .list, .map:
      let offsets = column.offsets
      return .array(Array(children[0][Int(offsets[row])..<Int(offsets[row + 1])]))
    case .structure: return .array(children.map { $0[column.offset + row] })
    }
  }

  private static func hexadecimal(_ value: some FixedWidthInteger & UnsignedInteger) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: value.bitWidth / 4 - digits.count) + digits
  }

  /// A batch with rows of canonical values.
  static func batch(_ rows: [JSONValue], _ schema: Schema) throws -> RecordBatch {
    let builders = schema.fields.map { AnyColumnBuilder($0.type) }
    for row in rows {
      for (value, builder) in zip(row.arrayValue ?? [], builders) { try append(value, builder) }
    }
    return RecordBatch(
      schema: schema, columns: builders.map { $0.finish() }, rowCount: rows.count)
  }

  private struct Misfit: Error { var description: String }

  private static func append(_ value: JSONValue, _ builder: AnyColumnBuilder) throws {
    if value == .null { return builder.appendNull() }
    switch (builder.type, value) {
    case (.boolean, .bool(let flag)): builder.append(flag)
    case (.int32, .integer(let number)), (.date, .integer(let number)):
      builder.append(Int32(number))
    case (.int64, .integer(let number)), (.time, .integer(let number)),
      (.timestamp, .integer(let number)), (.timestampNanoseconds, .integer(let number)):
      builder.append(number)
    case (.float32, .string(let text)):
      builder.append(UInt32(text, radix: 16).map { Float(bitPattern: $0) } ?? .nan)
    case (.float64, .string(let text)):
      builder.append(UInt64(text, radix: 16).map { Double(bitPattern: $0) } ?? .nan)
    case (.decimal, .string(let text)): builder.append(Int128(text) ?? 0)
    case (.string, .string(let text)): builder.append(text)
    case (.binary, .string(let text)), (.fixedSizeBinary, .string(let text)):
      builder.append(bytes(text))
    case (.list, .array(let elements)):
      for element in elements { try append(element, builder.children[0]) }
      builder.appendList()
    case (.map, .array(let pairs)):
      for pair in pairs { try append(pair, builder.children[0]) }
      builder.appendList()
    case (.structure, .array(let values)):
      for (value, child) in zip(values, builder.children) { try append(value, child) }
      builder.appendStructure()
    default: throw Misfit(description: "\(value) is no \(builder.type)")
    }
  }

  static func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  /// The literal of a canonical value, for filters.
  static func literal(_ value: JSONValue, _ type: IcebergType) -> Literal? {
    switch (type, value) {
    case (.boolean, .bool(let flag)): .boolean(flag)
    case (.int, .integer(let number)): .int(Int32(number))
    case (.long, .integer(let number)): .long(number)
    case (.date, .integer(let number)): .date(Int32(number))
    case (.time, .integer(let number)): .time(number)
    case (.timestamp, .integer(let number)): .timestamp(number)
    case (.timestamptz, .integer(let number)): .timestamptz(number)
    case (.float, .string(let text)):
      .float(UInt32(text, radix: 16).map { Float(bitPattern: $0) } ?? .nan)
    case (.double, .string(let text)):
      .double(UInt64(text, radix: 16).map { Double(bitPattern: $0) } ?? .nan)
    case (.decimal(_, let scale), .string(let text)):
      Int128(text).map { .decimal(unscaled: $0, scale: scale) }
    case (.string, .string(let text)): .string(text)
    case (.uuid, .string(let text)): .uuid(bytes(text).reduce(0) { $0 << 8 | UInt128($1) })
    case (.fixed, .string(let text)): .fixed(bytes(text))
    case (.binary, .string(let text)): .binary(bytes(text))
    default: nil
    }
  }
}
