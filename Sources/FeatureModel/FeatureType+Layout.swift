public import Columnar

extension FeatureType {
  /// The type of the column that holds values of this type.
  public var dataType: DataType {
    switch self {
    case .boolean: .boolean
    case .int: .int32
    case .long: .int64
    case .float: .float32
    case .double: .float64
    case .string: .string
    case .binary: .binary
    case .date: .date
    case .timestamp: .timestamp(isUTC: true)
    case .decimal(let precision, let scale): .decimal(precision: precision, scale: scale)
    case .uuid: .fixedSizeBinary(16)
    case .list(let element, _): .list(Field("element", element.dataType))
    }
  }

  /// Bytes that a value takes in the fixed part of an encoded row or key: its own width, or eight for
  /// where a value of variable length lies.
  var slotWidth: Int {
    switch self {
    case .boolean: 1
    case .int, .float, .date: 4
    case .long, .double, .timestamp: 8
    case .decimal, .uuid: 16
    case .string, .binary, .list: 8
    }
  }

  var isVariableLength: Bool {
    switch self {
    case .string, .binary, .list: true
    default: false
    }
  }
}

extension FeatureGroup {
  /// The columns that a batch of records has, in the order in which encoders take them: record
  /// identifiers, event time, features.
  public var recordSchema: Schema {
    Schema(
      recordIdentifiers.map { Field($0.name, $0.type.dataType, isNullable: false) }
        + [Field(eventTimeName, .timestamp(isUTC: true), isNullable: false)]
        + features.map { Field($0.name, $0.type.dataType) })
  }
}
