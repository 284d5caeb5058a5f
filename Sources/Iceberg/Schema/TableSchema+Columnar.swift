public import Columnar

extension IcebergType {
  /// The in-memory type of a column of this type, with field ids on what is nested.
  public var dataType: DataType {
    switch self {
    case .boolean: .boolean
    case .int: .int32
    case .long: .int64
    case .float: .float32
    case .double: .float64
    case .decimal(let precision, let scale): .decimal(precision: precision, scale: scale)
    case .date: .date
    case .time: .time
    case .timestamp: .timestamp(isUTC: false)
    case .timestamptz: .timestamp(isUTC: true)
    case .timestampNs: .timestampNanoseconds(isUTC: false)
    case .timestamptzNs: .timestampNanoseconds(isUTC: true)
    case .string: .string
    case .uuid: .fixedSizeBinary(16)
    case .fixed(let length): .fixedSizeBinary(length)
    case .binary: .binary
    case .unknown: .boolean
    case .structure(let fields): .structure(fields.map(\.columnarField))
    case .list(let element): .list(element.columnarField)
    case .map(let key, let value): .map(key: key.columnarField, value: value.columnarField)
    }
  }
}

extension NestedField {
  public var columnarField: Field {
    Field(name, type.dataType, isNullable: !isRequired, fieldID: id)
  }

  /// A table's field for a column; what has no field id gets ids from `nextID` down, negative, so
  /// that ids stay distinct until fresh ones are assigned.
  fileprivate init(_ field: Field, nextID: inout Int32, name: String? = nil) {
    let id = field.fieldID ?? nextID
    if field.fieldID == nil { nextID -= 1 }
    let type = IcebergType(field.type, nextID: &nextID)
    self.init(
      id: id, name: name ?? field.name, isRequired: !field.isNullable, type: type)
  }
}

extension IcebergType {
  fileprivate init(_ type: DataType, nextID: inout Int32) {
    switch type {
    case .boolean: self = .boolean
    case .int32: self = .int
    case .int64: self = .long
    case .float32: self = .float
    case .float64: self = .double
    case .string: self = .string
    case .binary: self = .binary
    case .fixedSizeBinary(let width): self = .fixed(width)
    case .date: self = .date
    case .time: self = .time
    case .timestamp(let isUTC): self = isUTC ? .timestamptz : .timestamp
    case .timestampNanoseconds(let isUTC): self = isUTC ? .timestamptzNs : .timestampNs
    case .decimal(let precision, let scale): self = .decimal(precision: precision, scale: scale)
    case .list(let element):
      self = .list(element: NestedField(element, nextID: &nextID, name: "element"))
    case .structure(let fields):
      self = .structure(fields.map { NestedField($0, nextID: &nextID) })
    case .map(let key, let value):
      var keyField = NestedField(key, nextID: &nextID, name: "key")
      keyField.isRequired = true
      self = .map(key: keyField, value: NestedField(value, nextID: &nextID, name: "value"))
    }
  }
}

extension TableSchema {
  /// The columns of a record batch with this schema: names, types, nullability and field ids.
  public var columnarSchema: Schema { Schema(fields.map(\.columnarField)) }

  /// A table schema for the columns of a batch or a file.
  ///
  /// Fixed-size binary becomes `fixed` (a UUID cannot be told from 16 bytes). When any field, nested
  /// ones too, lacks an id, all ids are assigned afresh.
  public init(_ schema: Schema, schemaID: Int32 = 0) throws(IcebergError) {
    var nextID: Int32 = -1
    let fields = schema.fields.map { NestedField($0, nextID: &nextID) }
    let table = TableSchema(schemaID: schemaID, fields: fields)
    self = nextID == -1 ? table : try table.withFreshIDs()
    try validate()
  }
}
