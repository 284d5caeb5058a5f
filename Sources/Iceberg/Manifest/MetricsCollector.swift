public import Columnar

/// Gathers what a manifest says about a file's columns from the batches that are written to it.
///
/// Columns and struct members have counts and bounds; what is inside lists and maps has none.
/// Bounds hold for every value: NaN is never one, zeros are widened to -0.0 and +0.0, and texts
/// are shortened outwards. Cost: one pass over each column with metrics.
public struct MetricsCollector: Sendable {
  private var columns: [ColumnMetrics]
  public private(set) var rowCount: Int64 = 0

  public init(schema: TableSchema, configuration: MetricsConfiguration = .init()) {
    columns = ColumnMetrics.plan(schema.fields, configuration)
  }

  /// Takes a batch's rows into account. Columns are found by field id; a column of the schema that
  /// the batch lacks counts as null.
  public mutating func add(_ batch: RecordBatch) throws(IcebergError) {
    for index in columns.indices {
      guard let position = batch.schema.index(ofFieldID: columns[index].field.id) else {
        columns[index].addMissing(batch.rowCount)
        continue
      }
      try columns[index].add(batch.columns[position], parentPresence: nil)
    }
    rowCount += Int64(batch.rowCount)
  }

  /// Takes the rows of a whole file into account, by what the table says of them.
  ///
  /// - Returns: false, and nothing has happened, where it says less than is to be said.
  mutating func add(_ file: DataFile) -> Bool {
    guard columns.allSatisfy({ $0.isCovered(by: file) }) else { return false }
    for index in columns.indices { columns[index].add(file) }
    rowCount = rowCount.addingSaturated(file.recordCount)
    return true
  }

  /// Stores the record count, counts and bounds in a file's description.
  public func apply(to file: inout DataFile) {
    file.recordCount = rowCount
    for column in columns { column.apply(to: &file) }
  }
}

/// The metrics of one column, or of the members of one struct.
struct ColumnMetrics: Sendable {
  let field: NestedField
  private let mode: MetricsMode
  /// Members of a struct; empty for anything else.
  private var members: [ColumnMetrics]
  private var valueCount: Int64 = 0
  private var nullCount: Int64 = 0
  private var nanCount: Int64 = 0
  /// Texts are kept as bytes until they are stored.
  private var lower: Literal?
  private var upper: Literal?
  /// Some texts have no bound above them of the length wanted.
  private var hasNoUpper = false

  static func plan(
    _ fields: [NestedField], _ configuration: MetricsConfiguration
  ) -> [ColumnMetrics] {
    fields.compactMap { field in
      let mode = configuration.mode(ofID: field.id)
      if case .structure(let children) = field.type {
        let members = plan(children, configuration)
        return members.isEmpty ? nil : ColumnMetrics(field, mode, members)
      }
      // Of a column that is stored nowhere nothing is said.
      let isStored = field.type.isPrimitive && field.type != .unknown
      return isStored && mode != .none ? ColumnMetrics(field, mode, []) : nil
    }
  }

  private init(_ field: NestedField, _ mode: MetricsMode, _ members: [ColumnMetrics]) {
    self.field = field
    self.mode = mode
    self.members = members
  }

  mutating func addMissing(_ count: Int) {
    valueCount += Int64(count)
    nullCount += Int64(count)
    for index in members.indices { members[index].addMissing(count) }
  }

  /// - Parameter parentPresence: which of the structs around the values are there; nil for all.
  mutating func add(_ column: Column, parentPresence: Presence?) throws(IcebergError) {
    let presence = Presence(of: column, within: parentPresence)
    if case .structure(let fields) = column.type, case .structure = field.type {
      for index in members.indices {
        let id = members[index].field.id
        guard let position = fields.firstIndex(where: { $0.fieldID == id }) else {
          members[index].addMissing(column.count)
          continue
        }
        let range = column.offset..<(column.offset + column.count)
        try members[index].add(
          column.children[position].slice(range), parentPresence: presence)
      }
      return
    }
    guard column.type == field.type.dataType else {
      throw IcebergError(
        .invalidArgument, "'\(field.name)' is of \(field.type), its column of \(column.type)")
    }
    let absent = presence.map { column.count - $0.presentCount } ?? 0
    valueCount += Int64(column.count)
    nullCount += Int64(absent)
    guard absent < column.count else { return }
    if mode == .counts, !isFloating { return }
    let range = column.range(of: field.type, presence: presence)
    nanCount += Int64(range.nanCount)
    if mode != .counts { widen(range.lower, range.upper) }
  }

  func isCovered(by file: DataFile) -> Bool {
    guard members.isEmpty else { return members.allSatisfy { $0.isCovered(by: file) } }
    guard let values = file.valueCounts[field.id], let nulls = file.nullValueCounts[field.id],
      let nans = isFloating ? file.nanValueCounts[field.id] : 0
    else { return false }
    if mode == .counts || nulls.addingSaturated(nans) >= values { return true }
    let hasUpper = bound(file.upperBounds) != nil || isBytes && mode != .full
    return bound(file.lowerBounds) != nil && hasUpper
  }

  /// The caller has seen that the file covers the column.
  mutating func add(_ file: DataFile) {
    for index in members.indices { members[index].add(file) }
    guard members.isEmpty else { return }
    valueCount = valueCount.addingSaturated(file.valueCounts[field.id] ?? 0)
    nullCount = nullCount.addingSaturated(file.nullValueCounts[field.id] ?? 0)
    nanCount = nanCount.addingSaturated(file.nanValueCounts[field.id] ?? 0)
    guard mode != .counts else { return }
    let upper = bound(file.upperBounds)
    hasNoUpper = hasNoUpper || upper == nil && bound(file.lowerBounds) != nil
    widen(bound(file.lowerBounds), upper)
  }

  private var isFloating: Bool { field.type == .float || field.type == .double }

  private var isBytes: Bool {
    switch field.type {
    case .string, .binary, .fixed: true
    default: false
    }
  }

  /// A bound of the column as `lower` and `upper` have it.
  private func bound(_ bounds: [Int32: [UInt8]]) -> Literal? {
    guard let bytes = bounds[field.id] else { return nil }
    switch field.type {
    case .string, .binary, .uuid, .fixed: return .binary(bytes)
    default:
      guard let bound = try? Literal(boundBytes: bytes, type: field.type), !bound.isNaN else {
        return nil
      }
      return bound
    }
  }

  private mutating func widen(_ low: Literal?, _ high: Literal?) {
    if let low, lower.map({ low.precedes($0) }) ?? true { lower = low }
    if let high, upper.map({ $0.precedes(high) }) ?? true { upper = high }
  }

  func apply(to file: inout DataFile) {
    guard members.isEmpty else {
      for member in members { member.apply(to: &file) }
      return
    }
    file.valueCounts[field.id] = valueCount
    file.nullValueCounts[field.id] = nullCount
    if isFloating { file.nanValueCounts[field.id] = nanCount }
    file.lowerBounds[field.id] = lower.flatMap { lowerBytes($0) }
    file.upperBounds[field.id] = hasNoUpper ? nil : upper.flatMap { upperBytes($0) }
  }

  private func lowerBytes(_ value: Literal) -> [UInt8]? {
    switch value {
    case .float(let number): return Literal.float(number == 0 ? -0.0 : number).boundBytes
    case .double(let number): return Literal.double(number == 0 ? -0.0 : number).boundBytes
    case .binary(let bytes) where field.type == .string:
      guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
      guard case .truncate(let length) = mode else { return bytes }
      return Array(BoundTruncation.lower(text, codePoints: length).utf8)
    case .binary(let bytes) where field.type != .uuid:
      guard case .truncate(let length) = mode else { return bytes }
      return BoundTruncation.lower(bytes, count: length)
    default: return value.boundBytes
    }
  }

  private func upperBytes(_ value: Literal) -> [UInt8]? {
    switch value {
    case .float(let number): return Literal.float(number == 0 ? 0.0 : number).boundBytes
    case .double(let number): return Literal.double(number == 0 ? 0.0 : number).boundBytes
    case .binary(let bytes) where field.type == .string:
      guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
      guard case .truncate(let length) = mode else { return bytes }
      return BoundTruncation.upper(text, codePoints: length).map { Array($0.utf8) }
    case .binary(let bytes) where field.type != .uuid:
      guard case .truncate(let length) = mode else { return bytes }
      return BoundTruncation.upper(bytes, count: length)
    default: return value.boundBytes
    }
  }
}
