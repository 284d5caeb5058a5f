import Avro
import JSON

// Iceberg types as Avro schemas (specification, appendix A), named as Java names them.
extension IcebergType {
  /// The Avro schema of this type; a struct becomes a record of this name.
  func avroSchema(recordName: String) -> AvroSchema {
    switch self {
    case .boolean: .boolean
    case .int: .int
    case .long: .long
    case .float: .float
    case .double: .double
    case .string: .string
    case .binary: .bytes
    // Only ever as one half of an optional value: null.
    case .unknown: .boolean
    case .date: AvroSchema(.int, attributes: ["logicalType": "date"])
    case .time: AvroSchema(.long, attributes: ["logicalType": "time-micros"])
    case .timestamp: IcebergType.avroTimestamp("timestamp-micros", isUTC: false)
    case .timestamptz: IcebergType.avroTimestamp("timestamp-micros", isUTC: true)
    case .timestampNs: IcebergType.avroTimestamp("timestamp-nanos", isUTC: false)
    case .timestamptzNs: IcebergType.avroTimestamp("timestamp-nanos", isUTC: true)
    case .uuid:
      AvroSchema(.fixed(name: "uuid_fixed", size: 16), attributes: ["logicalType": "uuid"])
    case .fixed(let length): AvroSchema(.fixed(name: "fixed_\(length)", size: length))
    case .decimal(let precision, let scale):
      AvroSchema(
        .fixed(
          name: "decimal_\(precision)_\(scale)", size: IcebergType.decimalByteCount(precision)),
        attributes: [
          "logicalType": "decimal", "precision": .integer(Int64(precision)),
          "scale": .integer(Int64(scale)),
        ])
    case .structure(let fields):
      AvroSchema(.record(name: recordName, fields: fields.map(\.avroField)))
    case .list(let element):
      AvroSchema(
        .array(element.avroSchema), attributes: ["element-id": .integer(Int64(element.id))])
    case .map(let key, let value): IcebergType.avroMap(key, value)
    }
  }

  private static func avroTimestamp(_ logicalType: String, isUTC: Bool) -> AvroSchema {
    AvroSchema(
      .long, attributes: ["logicalType": .string(logicalType), "adjust-to-utc": .bool(isUTC)])
  }

  /// A map with text keys is Avro's own; any other is an array of pairs.
  private static func avroMap(_ key: NestedField, _ value: NestedField) -> AvroSchema {
    if key.type == .string {
      return AvroSchema(
        .map(value.avroSchema),
        attributes: ["key-id": .integer(Int64(key.id)), "value-id": .integer(Int64(value.id))])
    }
    let pair = AvroSchema(
      .record(name: "k\(key.id)_v\(value.id)", fields: [key.avroField, value.avroField]))
    return AvroSchema(.array(pair), attributes: ["logicalType": "map"])
  }

  /// The bytes that the unscaled value of a decimal of `precision` digits may take.
  static func decimalByteCount(_ precision: Int) -> Int {
    Literal.minimalBigEndian(Literal.powerOfTen(precision) - 1).count
  }
}

extension NestedField {
  /// The schema of the field's values: a union with null when the field is optional.
  fileprivate var avroSchema: AvroSchema {
    let schema = type.avroSchema(recordName: "r\(id)")
    return isRequired ? schema : schema.optional
  }

  fileprivate var avroField: AvroField {
    let avroName = name.avroName
    var attributes: JSONObject = [:]
    if let doc { attributes["doc"] = .string(doc) }
    if !isRequired { attributes["default"] = .null }
    attributes["field-id"] = .integer(Int64(id))
    if avroName != name { attributes["iceberg-field-name"] = .string(name) }
    return AvroField(avroName, avroSchema, attributes: attributes)
  }
}

extension String {
  /// A legal Avro name: each illegal character becomes `_x` and its hexadecimal code, a leading
  /// digit gets an underscore.
  var avroName: String {
    var result = ""
    for unit in utf16 {
      switch unit {
      case 0x41...0x5A, 0x61...0x7A, 0x5F: result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      case 0x30...0x39:
        if result.isEmpty { result = "_" }
        result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      default: result += "_x" + String(unit, radix: 16, uppercase: true)
      }
    }
    return result.isEmpty ? "_" : result
  }
}
