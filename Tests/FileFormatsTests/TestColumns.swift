import Columnar
import FileFormats

/// One value as text that tells null, empty and every bit of a number apart.
func text(_ column: Column, _ index: Int) -> String {
  if column.isNull(index) { return "null" }
  switch column.type {
  case .boolean: return String(column.boolean(at: index))
  case .int32, .date: return String(column.values(as: Int32.self)[index])
  case .int64, .time, .timestamp, .timestampNanoseconds:
    return String(column.values(as: Int64.self)[index])
  case .float32:
    let value = column.values(as: Float.self)[index]
    return value.isNaN ? "nan" : "\(value)"
  case .float64:
    let value = column.values(as: Double.self)[index]
    return value.isNaN ? "nan" : "\(value)"
  case .string: return "'\(column.string(at: index))'"
  case .binary, .fixedSizeBinary:
    return "x" + column.bytes(at: index).withUnsafeBytes { Array($0) }.map(String.init).joined()
  case .decimal: return String(column.values(as: Int128.self)[index])
  case .list, .map:
    let offsets = column.offsets
    let child = column.children[0]
    let values = (Int(offsets[index])..<Int(offsets[index + 1])).map { text(child, $0) }
    return "[" + values.joined(separator: ",") + "]"
  case .structure:
    return "{" + column.children.map { text($0, column.offset + index) }.joined(separator: ",")
      + "}"
  }
}

func texts(_ column: Column) -> [String] { (0..<column.count).map { text(column, $0) } }

func texts(_ batches: [RecordBatch], column: Int) -> [String] {
  batches.flatMap { texts($0.columns[column]) }
}

extension RecordBatchStream {
  func all() throws -> [RecordBatch] {
    var batches: [RecordBatch] = []
    while let batch = try next() { batches.append(batch) }
    return batches
  }
}

func integers(_ values: [Int64?], type: DataType = .int64) -> Column {
  var builder = FixedWidthBuilder(type, zero: Int64(0))
  for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
  return builder.finish()
}

func strings(_ values: [String?], type: DataType = .string) -> Column {
  var builder = BytesBuilder(type)
  for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
  return builder.finish()
}

/// Every type, with nulls, the empty value and the extremes; field ids on every level.
func everyType() -> RecordBatch {
  func fixed<Element: BitwiseCopyable & Sendable>(
    _ type: DataType, _ zero: Element, _ values: [Element?]
  ) -> Column {
    var builder = FixedWidthBuilder(type, zero: zero)
    for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
    return builder.finish()
  }
  var booleans = BooleanBuilder()
  booleans.append(true)
  booleans.appendNull()
  booleans.append(false)
  booleans.append(true)
  let longs: [Int64?] = [.min, nil, .max, 0]
  let times: [Int64?] = [0, nil, 86_399_999_999, 1]
  let big = Int128(99_999_999_999_999_999) * 1_000_000_000_000_000_000
  var uuids = BytesBuilder(.fixedSizeBinary(16))
  uuids.append(Array(0..<16))
  uuids.appendNull()
  uuids.append(Array(repeating: 255, count: 16))
  uuids.append(Array(repeating: 0, count: 16))
  let element = Field("element", .float32, fieldID: 101)
  let elements = fixed(.float32, Float(0), [1.5, nil, -.infinity])
  let lists = Column(
    type: .list(element), count: 4, validity: Buffer(copying: [0b1101] as [UInt8]),
    buffers: [Buffer(copying: [0, 2, 2, 2, 3] as [Int32])], children: [elements])
  let inner = [Field("x", .int64, fieldID: 111), Field("y", .string, fieldID: 112)]
  let structs = Column(
    type: .structure(inner), count: 4, validity: Buffer(copying: [0b1011] as [UInt8]), buffers: [],
    children: [integers([1, nil, 3, 4]), strings(["a", "", nil, "ü"])])
  let key = Field("key", .string, isNullable: false, fieldID: 121)
  let value = Field("value", .int64, fieldID: 122)
  let maps = Column(
    type: .map(key: key, value: value), count: 4, validity: Buffer(copying: [0b0111] as [UInt8]),
    buffers: [Buffer(copying: [0, 1, 3, 3, 3] as [Int32])],
    children: [
      Column(
        type: .structure([key, value]), count: 3, buffers: [],
        children: [strings(["k", "l", "m"]), integers([1, nil, 3])])
    ])
  let columns: [(Field, Column)] = [
    (Field("boolean", .boolean), booleans.finish()),
    (Field("int", .int32), fixed(.int32, Int32(0), [.min, nil, .max, 0])),
    (Field("long", .int64), fixed(.int64, Int64(0), longs)),
    (Field("float", .float32), fixed(.float32, Float(0), [-0.0, nil, .nan, .infinity])),
    (
      Field("double", .float64),
      fixed(.float64, 0.0, [-.infinity, nil, .leastNonzeroMagnitude, .nan])
    ),
    (
      Field("string", .string), strings(["", nil, "naïve 日本", String(repeating: "z", count: 5000)])
    ),
    (Field("binary", .binary), strings(["", nil, "\u{0}\u{1}", "b"], type: .binary)),
    (Field("uuid", .fixedSizeBinary(16)), uuids.finish()),
    (Field("date", .date), fixed(.date, Int32(0), [.min, nil, .max, -1])),
    (Field("time", .time), fixed(.time, Int64(0), times)),
    (Field("timestamp", .timestamp(isUTC: false)), fixed(.timestamp(isUTC: false), 0, longs)),
    (Field("timestamptz", .timestamp(isUTC: true)), fixed(.timestamp(isUTC: true), 0, longs)),
    (
      Field("nanoseconds", .timestampNanoseconds(isUTC: true)),
      fixed(.timestampNanoseconds(isUTC: true), Int64(0), longs)
    ),
    (
      Field("small", .decimal(precision: 9, scale: 2)),
      fixed(.decimal(precision: 9, scale: 2), Int128(0), [-999_999_999, nil, 999_999_999, 0])
    ),
    (
      Field("medium", .decimal(precision: 18, scale: 0)),
      fixed(.decimal(precision: 18, scale: 0), Int128(0), [-1, nil, 999_999_999_999_999_999, 0])
    ),
    (
      Field("large", .decimal(precision: 38, scale: 10)),
      fixed(.decimal(precision: 38, scale: 10), Int128(0), [-big, nil, big, 1])
    ),
    (Field("list", lists.type), lists),
    (Field("struct", structs.type), structs),
    (Field("map", maps.type), maps),
    (
      Field("required", .int64, isNullable: false), integers([1, 2, 3, 4])
    ),
  ]
  let fields = columns.enumerated().map { index, pair in
    var field = pair.0
    field.fieldID = Int32(index + 1)
    return field
  }
  return RecordBatch(schema: Schema(fields), columns: columns.map(\.1), rowCount: 4)
}
