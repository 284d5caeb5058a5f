internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import Storage

/// One audit: the training set is made again for the keys and times of its file, and compared batch by batch.
struct AuditRun {
  private let store: FeatureStore
  private let request: TrainingSetRequest
  /// The training set, where it has a name: its features and snapshots count.
  private let set: NamedTrainingSet?
  private let plan: TrainingSetPlan
  private let file: SpineFiles
  /// The file's columns of keys and times, and of features.
  private let wanted: [Field]
  private let features: [Field]

  init(
    _ store: FeatureStore, _ path: String, _ request: TrainingSetRequest,
    again set: NamedTrainingSet? = nil
  ) throws {
    self.store = store
    self.set = set
    plan = try TrainingSetPlan(request, store: store, again: set?.features)
    wanted = try plan.keysAndTimes().fields
    features = zip(plan.references, plan.types).map { Field($0.outputName, $1) }
    let types = Dictionary((wanted + features).map { ($0.name, $0.type) }) { first, _ in first }
    file = try SpineFiles([path], types: types, fileSystem: store.fileSystem)
    for field in wanted + features {
      try file.require(field.name, role: "a key, a time or a feature")
    }
    var request = request
    request.split = nil
    // The file takes the place of the spine, which may have named the column.
    request.timeColumn = try TrainingSetPlan.timeColumn(request, store)
    self.request = request
  }

  func run(_ progress: (Int64, Int64) -> Void) throws -> TrainingSetAudit {
    var again = request
    again.spine = .batches(try keysAndTimes())
    let expected = TrainingSetBatches(
      try TrainingSetRows(again, store: store, again: set, progress: progress))
    let schema = Schema(features)
    var own = BatchCutter(
      schema: schema, rows: TrainingSetRows.batchRows, next: try file.rows(schema))
    let tables = try TrainingSetTables(store, request, fixed: set?.snapshots)
    var audit = TrainingSetAudit()
    audit.columnCount = features.count
    while let right = try expected.next() {
      guard let left = try own.next(), left.rowCount == right.rowCount else {
        throw FeatureStoreError(.conflict, "the file was changed while it was being read")
      }
      for (place, field) in features.enumerated() {
        let (has, should) = (left.columns[place], right.columns[wanted.count + place])
        for row in Self.differingRows(has, should, field) {
          audit.differingCount += 1
          guard audit.cells.count < TrainingSetAudit.listedCellLimit else { continue }
          audit.cells.append(
            try cell(
              row, audit.rowCount, place, try FeatureValue(has, row), try FeatureValue(should, row),
              right, tables))
        }
      }
      audit.rowCount += right.rowCount
    }
    audit.cells.sort { $0.row < $1.row }
    audit.writtenLaterCounts = expected.report.groups.map { ($0.name, $0.writtenLaterCount) }
    return audit
  }

  private func keysAndTimes() throws -> [RecordBatch] {
    let schema = Schema(wanted)
    let next = try file.rows(schema)
    var batches: [RecordBatch] = []
    while let batch = try next() {
      batches.append(RecordBatch(schema: schema, columns: batch.columns, rowCount: batch.rowCount))
    }
    if !batches.isEmpty { return batches }
    return [RecordBatch(schema: schema, columns: wanted.map { .empty($0.type) }, rowCount: 0)]
  }

  /// What is wrong with one cell.
  private func cell(
    _ row: Int, _ firstRow: Int, _ place: Int, _ value: FeatureValue, _ expected: FeatureValue,
    _ batch: RecordBatch, _ tables: TrainingSetTables
  ) throws -> TrainingSetAudit.Cell {
    guard let part = plan.parts.first(where: { $0.places.contains(place) }) else {
      preconditionFailure("every reference is in a part")
    }
    let reference = plan.references[place]
    let index = try part.group.featureIndex(reference.feature)
    func own(_ name: String) throws -> FeatureValue {
      guard let column = batch.column(named: name) else { return .null }
      return try FeatureValue(column, row)
    }
    let key = try part.keyColumns.map(own)
    var cell = TrainingSetAudit.Cell(
      row: firstRow + row, column: reference.outputName, type: part.group.features[index].type,
      key: key, moment: nil, value: value, expected: expected, finding: .missing, eventTime: nil)
    if case .timestamp(let time) = try own(part.timeColumn) { cell.moment = time }
    if value == .null { return cell }
    cell.finding = .noRecords
    guard let moment = cell.moment, !key.contains(.null) else { return cell }
    var writer = KeyWriter(part.group)
    for value in key { writer.append(value) }
    let reader = try KeyReader(
      store, part.group, key: try writer.finish().bytes, tables: tables)
    let rules = CellRules(part, request)
    // The least grave: what was known then, else what came late, else what was still to come.
    try reader.read { record in
      guard !record.isDeleted, ComparedValue(record.values[index]) == ComparedValue(value) else {
        return
      }
      var finding: TrainingSetAudit.Finding =
        switch rules.standing(record, at: moment) {
        case .onlyLater: .knowsTheFuture
        case .late: .knowsWhatCameLate
        case .older, .won: .outdated
        }
      if finding == .outdated, request.excludesLate, (record.writeTime ?? .min) > moment {
        finding = .knowsWhatCameLate
      }
      let order: [TrainingSetAudit.Finding] = [
        .noRecords, .knowsTheFuture, .knowsWhatCameLate, .outdated,
      ]
      guard let new = order.firstIndex(of: finding), let old = order.firstIndex(of: cell.finding),
        new > old
      else { return }
      (cell.finding, cell.eventTime) = (finding, record.eventTime)
    }
    return cell
  }

  /// The rows in which two columns of a type differ, of floating point numbers by their bits.
  private static func differingRows(_ left: Column, _ right: Column, _ field: Field) -> [Int] {
    func different(_ isEqual: (Int) -> Bool) -> [Int] {
      (0..<left.count).filter { row in
        let isNull = left.isNull(row)
        return isNull != right.isNull(row) || (!isNull && !isEqual(row))
      }
    }
    switch field.type {
    case .boolean: return different { left.boolean(at: $0) == right.boolean(at: $0) }
    case .int32, .float32, .date: return differingWords(left, right, UInt32.self)
    case .int64, .float64, .time, .timestamp, .timestampNanoseconds:
      return differingWords(left, right, UInt64.self)
    case .decimal: return differingWords(left, right, UInt128.self)
    case .string, .binary, .fixedSizeBinary:
      return different { row in
        let (one, other) = (left.bytes(at: row), right.bytes(at: row))
        guard one.byteCount == other.byteCount else { return false }
        for offset in 0..<one.byteCount
        where one.loadLittleEndian(UInt8.self, at: offset)
          != other.loadLittleEndian(UInt8.self, at: offset)
        { return false }
        return true
      }
    case .list, .structure, .map:
      return different { ValueText.json(left, $0) == ValueText.json(right, $0) }
    }
  }

  private static func differingWords<Word: FixedWidthInteger & BitwiseCopyable>(
    _ left: Column, _ right: Column, _: Word.Type
  ) -> [Int] {
    let (one, other) = (left.values(as: Word.self), right.values(as: Word.self))
    var rows: [Int] = []
    for row in 0..<left.count {
      let isNull = left.isNull(row)
      if isNull != right.isNull(row) || (!isNull && one[row] != other[row]) { rows.append(row) }
    }
    return rows
  }
}

extension FeatureValue {
  /// One value of a column of a feature's type.
  init(_ column: Column, _ row: Int) throws(FeatureStoreError) {
    guard !column.isNull(row) else {
      self = .null
      return
    }
    switch column.type {
    case .boolean: self = .boolean(column.boolean(at: row))
    case .int32: self = .int(column.values(as: Int32.self)[row])
    case .int64: self = .long(column.values(as: Int64.self)[row])
    case .float32: self = .float(column.values(as: Float.self)[row])
    case .float64: self = .double(column.values(as: Double.self)[row])
    case .string: self = .string(column.string(at: row))
    case .binary: self = .binary(Self.copy(column.bytes(at: row)))
    case .fixedSizeBinary(16): self = .uuid(Self.copy(column.bytes(at: row)))
    case .date: self = .date(column.values(as: Int32.self)[row])
    case .timestamp: self = .timestamp(column.values(as: Int64.self)[row])
    case .decimal: self = .decimal(unscaled: column.values(as: Int128.self)[row])
    case .list:
      let offsets = column.offsets
      var elements: [FeatureValue] = []
      for place in Int(offsets[row])..<Int(offsets[row + 1]) {
        elements.append(try FeatureValue(column.children[0], place))
      }
      self = .list(elements)
    default:
      throw FeatureStoreError(.invalidInput, "no feature has values of type \(column.type)")
    }
  }

  private static func copy(_ bytes: RawSpan) -> [UInt8] {
    (0..<bytes.byteCount).map { bytes.loadLittleEndian(UInt8.self, at: $0) }
  }
}
