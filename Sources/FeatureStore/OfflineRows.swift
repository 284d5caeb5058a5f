internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import OnlineStore

/// Records of one group on their way from the log to the offline table: gathered encoded, turned into
/// columns at once.
struct OfflineRows: Sendable {
  let group: FeatureGroup
  private var keys = EncodedRows()
  private var rows = EncodedRows()
  private var isPut: [Bool] = []
  private var eventTimes: [Int64] = []
  private var writeTimes: [Int64] = []
  private var lsns: [Int64] = []
  private var expiries = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
  private var hasExpiry = false

  init(_ group: FeatureGroup) { self.group = group }

  var count: Int { lsns.count }
  var isEmpty: Bool { lsns.isEmpty }
  var firstLSN: Int64? { lsns.first }
  var lastLSN: Int64? { lsns.last }

  /// Bytes held, about.
  var sizeBytes: Int { keys.bytes.count + rows.bytes.count + count * 40 }

  mutating func append(_ stored: StoredEntry) {
    let entry = stored.entry
    keys.append(entry.key)
    rows.append(entry.kind == .put ? entry.row : [])
    isPut.append(entry.kind == .put)
    eventTimes.append(entry.eventTime)
    writeTimes.append(entry.writeTime)
    lsns.append(stored.lsn)
    if let expiresAt = entry.expiresAt {
      expiries.append(expiresAt)
      hasExpiry = true
    } else {
      expiries.appendNull()
    }
  }

  /// The records as a batch in the table's schema; columns are matched by name, and columns of the
  /// table that the definition does not know (another engine added them) are null.
  func batch(_ schema: TableSchema) throws(FeatureStoreError) -> RecordBatch {
    var columns: [String: Column] = [:]
    do {
      for (identifier, column) in zip(group.recordIdentifiers, try KeyCodec(group).decode(keys)) {
        columns[identifier.name] = column
      }
      let features = try RowCodec(group).decode(rows, isPresent: isPut)
      for (feature, column) in zip(group.features, features) { columns[feature.name] = column }
    } catch { throw FeatureStoreError(error) }
    columns[group.eventTimeName] = Self.column(eventTimes, .timestamp(isUTC: true))
    columns[OfflineTables.writeTime] = Self.column(writeTimes, .timestamp(isUTC: true))
    columns[OfflineTables.lsn] = Self.column(lsns, .int64)
    var isDeleted = BooleanBuilder()
    for put in isPut { isDeleted.append(!put) }
    columns[OfflineTables.isDeleted] = isDeleted.finish()
    let fields = schema.columnarSchema.fields
    if group.hasExpiryColumn {
      var expiries = expiries
      columns[OfflineTables.expiresAt] = expiries.finish()
    }
    // To leave it out would let training sets have what the online store no longer says.
    guard !hasExpiry || fields.contains(where: { $0.name == OfflineTables.expiresAt }) else {
      throw FeatureStoreError(
        .conflict,
        "the offline table of '\(group.name)' has lost its column '\(OfflineTables.expiresAt)', and "
          + "records of the group expire by themselves: add it again (timestamptz, optional)")
    }
    var ordered: [Column] = []
    for field in fields {
      guard let column = columns[field.name] else {
        ordered.append(.nulls(field.type, count: count))
        continue
      }
      ordered.append(try Self.retyped(column, field, group: group))
    }
    return RecordBatch(schema: Schema(fields), columns: ordered, rowCount: count)
  }

  private static func column(_ values: [Int64], _ type: DataType) -> Column {
    Column(type: type, count: values.count, nullCount: 0, buffers: [Buffer(copying: values)])
  }

  /// The column under the table's own field, whose lists name their element and give it an id.
  private static func retyped(
    _ column: Column, _ field: Field, group: FeatureGroup
  ) throws(FeatureStoreError) -> Column {
    if column.type == field.type { return column }
    if case .list(let element) = field.type, case .list(let own) = column.type,
      element.type == own.type
    {
      return Column(
        type: field.type, count: column.count, offset: column.offset, validity: column.validity,
        nullCount: column.nullCount, buffers: column.buffers, children: column.children)
    }
    throw FeatureStoreError(
      .conflict,
      "the offline table of '\(group.name)' has the column '\(field.name)' as \(field.type), the "
        + "definition as \(column.type): another engine changed its type")
  }
}
