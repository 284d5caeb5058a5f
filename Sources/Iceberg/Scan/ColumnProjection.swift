import Columnar
import FileFormats
import JSON

/// Turns the columns of a data file into those that a schema wants, matched by field id: names and
/// positions in the file do not count.
///
/// A column that the file lacks is its partition value where the file is partitioned by it, else the
/// field's initial default, else null. Integers, floats, decimals and dates become wider types as
/// the specification allows.
struct ColumnProjection {
  private enum Source {
    /// A position among the columns that are read.
    case column(Int)
    case constant(Literal)
    /// The initial default, or null.
    case missing
  }

  let wanted: [NestedField]
  let schema: Schema
  /// Positions of the file's top-level columns that have to be read.
  private(set) var fileColumns: [Int] = []
  private var sources: [Source] = []
  /// What the read columns are, with the ids that a name mapping gave them.
  private var fileTypes: [DataType] = []

  /// - Parameters:
  ///   - file: the file's columns; `fieldIDs` on them.
  ///   - constants: partition values by field id, for columns that the file does not have.
  init(
    _ wanted: [NestedField], file: Schema, constants: [Int32: Literal]
  ) throws(IcebergError) {
    self.wanted = wanted
    schema = Schema(wanted.map(\.columnarField))
    for field in wanted {
      if field.type != .unknown, let index = file.index(ofFieldID: field.id) {
        try ColumnProjection.check(file.fields[index].type, field)
        sources.append(.column(fileColumns.count))
        fileColumns.append(index)
        fileTypes.append(file.fields[index].type)
      } else if let constant = constants[field.id]?.promoted(to: field.type) {
        sources.append(.constant(constant))
      } else {
        // Says now, not batch by batch, if nothing can stand in for it.
        _ = try ColumnProjection.missing(field, count: 0)
        sources.append(.missing)
      }
    }
  }

  /// The wanted columns of a batch of `fileColumns`.
  func project(_ batch: RecordBatch) throws(IcebergError) -> RecordBatch {
    var columns: [Column] = []
    columns.reserveCapacity(wanted.count)
    for (field, source) in zip(wanted, sources) {
      switch source {
      case .column(let index):
        let column = batch.columns[index].relabeled(fileTypes[index])
        columns.append(try ColumnProjection.convert(column, field))
      case .constant(let value):
        columns.append(
          try .constant(value, type: field.type.dataType, count: batch.rowCount))
      case .missing: columns.append(try ColumnProjection.missing(field, count: batch.rowCount))
      }
    }
    return RecordBatch(schema: schema, columns: columns, rowCount: batch.rowCount)
  }

  /// What stands for a field that nobody gave a value.
  ///
  /// - Parameter isNew: whether the rows are being written, and so get the write default; else they are
  ///   in a file that was written before the field was added, and have the initial default.
  static func missing(
    _ field: NestedField, count: Int, isNew: Bool = false
  ) throws(IcebergError) -> Column {
    guard let value = isNew ? field.writeDefault : field.initialDefault, value != .null else {
      guard !field.isRequired else {
        throw IcebergError(
          isNew ? .invalidArgument : .invalidMetadata,
          "the required column '\(field.name)' is missing and has no default")
      }
      return try .absent(field.type.dataType, count: count)
    }
    switch field.type {
    case .structure(let children):
      // The only default of a struct is one that leaves its fields to their own.
      guard let object = value.objectValue, object.members.underestimatedCount == 0 else {
        throw IcebergError(.invalidMetadata, "the default of '\(field.name)' is no empty struct")
      }
      var columns: [Column] = []
      for child in children { columns.append(try missing(child, count: count, isNew: isNew)) }
      return Column(type: field.type.dataType, count: count, buffers: [], children: columns)
    case .list, .map:
      throw IcebergError(
        .unsupported, "the default of '\(field.name)', a \(field.type), is not supported")
    default:
      return try .constant(
        try Literal(json: value, type: field.type), type: field.type.dataType, count: count)
    }
  }

  /// Checks once a file what `convert` relies on.
  private static func check(_ type: DataType, _ field: NestedField) throws(IcebergError) {
    // Whatever a file has in its place, it is null.
    if field.type == .unknown { return }
    switch (type, field.type) {
    case (.int32, .int), (.int32, .long), (.int64, .long), (.float32, .float), (.float32, .double),
      (.float64, .double), (.boolean, .boolean), (.string, .string), (.binary, .binary),
      (.date, .date), (.date, .timestamp), (.date, .timestampNs), (.time, .time),
      (.fixedSizeBinary(16), .uuid),
      (.binary, .string), (.string, .binary):
      return
    case (.timestamp(let isUTC), .timestamp), (.timestamp(let isUTC), .timestamptz):
      if isUTC == (field.type == .timestamptz) { return }
    case (.timestampNanoseconds(let isUTC), .timestampNs),
      (.timestampNanoseconds(let isUTC), .timestamptzNs):
      if isUTC == (field.type == .timestamptzNs) { return }
    case (.fixedSizeBinary(let width), .fixed(let length)): if width == length { return }
    case (.decimal(let precision, let scale), .decimal(let wider, let otherScale)):
      if scale == otherScale, precision <= wider { return }
    case (.list(let element), .list(let wanted)): return try check(element.type, wanted)
    case (.map(let key, let value), .map(let wantedKey, let wantedValue)):
      try check(key.type, wantedKey)
      return try check(value.type, wantedValue)
    case (.structure(let fields), .structure(let children)):
      for child in children {
        if let own = fields.first(where: { $0.fieldID == child.id }) {
          try check(own.type, child)
        } else {
          _ = try missing(child, count: 0)
        }
      }
      return
    default: break
    }
    throw IcebergError(
      .invalidMetadata, "the file has '\(field.name)' as \(type), which is no \(field.type)")
  }

  private static func convert(
    _ column: Column, _ field: NestedField
  ) throws(IcebergError) -> Column {
    if field.type == .unknown {
      return try .absent(field.type.dataType, count: column.offset + column.count)
    }
    let type = field.type.dataType
    if column.type == type { return column }
    switch (column.type, type, field.type) {
    case (.int32, .int64, _):
      return widened(column, type, from: Int32.self) { Int64($0) }
    case (.float32, .float64, _):
      return widened(column, type, from: Float.self) { Double($0) }
    case (.date, .timestamp, _):
      return widened(column, type, from: Int32.self) { Int64($0) &* 86_400_000_000 }
    case (.date, .timestampNanoseconds, _):
      let limit = Int32(Int64.max / 86_400_000_000_000)
      let days = column.values(as: Int32.self)
      for row in 0..<column.count where !column.isNull(row) && days[row].magnitude > limit {
        throw IcebergError(
          .invalidMetadata, "'\(field.name)' has the day \(days[row]), beyond all nanoseconds")
      }
      return widened(column, type, from: Int32.self) { Int64($0) &* 86_400_000_000_000 }
    case (.binary, .string, _):
      try requireUTF8(column, field)
      return retyped(column, type, children: [])
    case (.list, _, .list(let element)):
      return retyped(column, type, children: [try convert(column.children[0], element)])
    case (.map, _, .map(let key, let value)):
      let entries = column.children[0]
      guard entries.children.count == 2 else { throw mismatch(column, field) }
      let children = [
        try convert(entries.children[0], key), try convert(entries.children[1], value),
      ]
      let entryType = DataType.structure([key.columnarField, value.columnarField])
      return retyped(column, type, children: [retyped(entries, entryType, children: children)])
    case (.structure(let fields), _, .structure(let wanted)):
      var children: [Column] = []
      for child in wanted {
        if let index = fields.firstIndex(where: { $0.fieldID == child.id }) {
          children.append(try convert(column.children[index], child))
        } else {
          children.append(try missing(child, count: column.offset + column.count))
        }
      }
      return retyped(column, type, children: children)
    case (.decimal, .decimal, _), (.string, .binary, _):
      return retyped(column, type, children: [])
    default: throw mismatch(column, field)
    }
  }

  private static func mismatch(_ column: Column, _ field: NestedField) -> IcebergError {
    IcebergError(
      .invalidMetadata, "the file has '\(field.name)' as \(column.type), which is no \(field.type)")
  }

  private static func requireUTF8(_ column: Column, _ field: NestedField) throws(IcebergError) {
    for row in 0..<column.count where !column.isNull(row) {
      let bytes = column.bytes(at: row)
      let isValid = unsafe bytes.withUnsafeBytes {
        unsafe String(validating: $0, as: UTF8.self) != nil
      }
      guard isValid else {
        throw IcebergError(.invalidMetadata, "'\(field.name)' has a text that is not UTF-8")
      }
    }
  }

  /// The same values under another name for their type.
  private static func retyped(_ column: Column, _ type: DataType, children: [Column]) -> Column {
    Column(
      type: type, count: column.count, offset: column.offset, validity: column.validity,
      nullCount: column.nullCount, buffers: column.buffers, children: children)
  }

  private static func widened<From: BitwiseCopyable, To: BitwiseCopyable>(
    _ column: Column, _ type: DataType, from _: From.Type, _ convert: (From) -> To
  ) -> Column {
    let values = column.values(as: From.self)
    let wide = (0..<column.count).map { convert(values[$0]) }
    var validity: Buffer? = nil
    if column.nullCount > 0 {
      var bits = BitmapBuilder()
      for row in 0..<column.count { bits.append(!column.isNull(row)) }
      validity = bits.buffer()
    }
    return Column(
      type: type, count: column.count, validity: validity, nullCount: column.nullCount,
      buffers: [Buffer(copying: wide)])
  }
}

extension Column {
  /// The same values under a type that differs in the ids of nested fields alone.
  fileprivate func relabeled(_ type: DataType) -> Column {
    if type == self.type { return self }
    var children = self.children
    switch type {
    case .structure(let fields):
      children = zip(children, fields).map { $0.relabeled($1.type) }
    case .list(let element): children = [children[0].relabeled(element.type)]
    case .map(let key, let value):
      children = [children[0].relabeled(.structure([key, value]))]
    default: break
    }
    return Column(
      type: type, count: count, offset: offset, validity: validity, nullCount: nullCount,
      buffers: buffers, children: children)
  }
}
