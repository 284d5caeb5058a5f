public import Columnar
internal import FeatureModel
internal import OnlineStore
internal import Storage

// Typed batches, columns in and columns out: what services use.
extension FeatureStore {
  /// Puts the rows of a batch in one atomic commit; durable when it returns.
  ///
  /// Columns are matched by name and must have the types of `FeatureGroup.recordSchema`; features that
  /// the batch lacks are null.
  ///
  /// Throws `.invalidInput`, naming the first row that does not fit, and then nothing is written;
  /// `.invalidArgument` for more than `maximumBatchRows` rows, `.notFound` for an unknown column.
  @discardableResult
  public func put(
    _ groupName: String, _ batch: RecordBatch
  ) throws(FeatureStoreError) -> PutReceipt {
    let log = try requireWriter("put records")
    let group = try group(groupName)
    guard 1...Self.maximumBatchRows ~= batch.rowCount else {
      throw FeatureStoreError(
        .invalidArgument,
        "a batch has 1 to \(Self.maximumBatchRows) rows, not \(batch.rowCount)")
    }
    let schema = group.recordSchema
    for field in batch.schema.fields where schema.index(of: field.name) == nil {
      throw Registry.unknown(
        "column of '\(groupName)'", field.name, among: schema.fields.map(\.name))
    }
    var columns: [Column] = []
    for field in schema.fields {
      columns.append(
        try Self.column(batch, field) ?? .nulls(field.type, count: batch.rowCount))
    }
    let encoded = RecordEncoder(group).encode(columns, rowCount: batch.rowCount)
    if let refusal = encoded.refusals.first {
      throw FeatureStoreError(
        .invalidInput, "row \(refusal.row): \(refusal.error.message)", cause: refusal.error)
    }
    return try append(encoded, group, to: log)
  }

  /// The newest values of many entities of one group.
  ///
  /// - Parameters:
  ///   - keys: the record identifiers, one column each, matched by name; no nulls.
  ///   - features: which ones, in this order; all of the group's if nil.
  public func get(
    _ groupName: String, keys: RecordBatch, features: [String]? = nil
  ) throws(FeatureStoreError) -> FeatureBatch {
    let group = try group(groupName)
    let references = (features ?? group.features.map(\.name)).map {
      FeatureReference(group: groupName, feature: $0)
    }
    return try answers(references, [group], keys)
  }

  /// The features of a view, of all its groups, for many rows of identifiers in one call.
  ///
  /// - Parameter keys: the record identifiers of all the view's groups, one column each, matched by
  ///   name; no nulls.
  public func getFeatures(
    _ viewName: String, keys: RecordBatch
  ) throws(FeatureStoreError) -> FeatureBatch {
    let view = try view(viewName)
    var groups: [FeatureGroup] = []
    for name in view.groups { groups.append(try group(name)) }
    return try answers(view.features, groups, keys)
  }

  private func answers(
    _ references: [FeatureReference], _ groups: [FeatureGroup], _ keys: RecordBatch
  ) throws(FeatureStoreError) -> FeatureBatch {
    let known = groups.flatMap { $0.recordIdentifiers.map(\.name) }
    for field in keys.schema.fields where !known.contains(field.name) {
      throw Registry.unknown("record identifier", field.name, among: known)
    }
    var columns: [Column?] = Array(repeating: nil, count: references.count)
    var facts: [FeatureBatch.Group] = []
    for group in groups {
      let wanted = references.indices.filter { references[$0].group == group.name }
      var indices: [Int] = []
      do {
        for index in wanted { indices.append(try group.featureIndex(references[index].feature)) }
      } catch { throw FeatureStoreError(error) }
      let answer = try answer(group, keys, features: indices)
      for (index, column) in zip(wanted, answer.columns) { columns[index] = column }
      facts.append(answer.facts)
    }
    let found = columns.compactMap(\.self)
    let fields = zip(references, found).map { Field($0.outputName, $1.type) }
    return FeatureBatch(
      features: RecordBatch(schema: Schema(fields), columns: found, rowCount: keys.rowCount),
      groups: facts)
  }

  private func answer(
    _ group: FeatureGroup, _ keys: RecordBatch, features: [Int]
  ) throws(FeatureStoreError) -> (columns: [Column], facts: FeatureBatch.Group) {
    try requireOnline(group)
    let encoded = try encodedKeys(group, keys)
    var facts = Facts()
    var rows = EncodedRows()
    let now = clock.nowMicroseconds()
    // Features may have been added since the definition was looked up.
    var hasNewerRows = false
    /// Keys that nothing was written for are not shown.
    func appendMissing(upTo index: Int) {
      while facts.statuses.count < index {
        facts.appendMissing()
        rows.append([])
      }
    }
    do {
      let log = try log(for: "read online")
      try log.withRecords(groupID: group.id, keys: encoded) { index, record in
        appendMissing(upTo: index)
        let status = FeatureAnswer.Status(record, group, now: now)
        facts.append(record, status)
        hasNewerRows = hasNewerRows || record.schemaVersion > group.version
        if status == .present { rows.append(record.row) } else { rows.append([]) }
      }
      appendMissing(upTo: keys.rowCount)
      let decoded = try RowCodec(group).decode(
        rows, isPresent: facts.statuses.map { $0 == .present }, acceptsNewerRows: hasNewerRows)
      return (features.map { decoded[$0] }, facts.finish(group.name))
    } catch { throw FeatureStoreError(error) }
  }

  /// What is to be said of each row.
  private struct Facts {
    var statuses: [FeatureAnswer.Status] = []
    private var eventTimes = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
    private var writeTimes = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
    private var lsns = FixedWidthBuilder(.int64, zero: Int64(0))

    mutating func append(_ record: RecordView, _ status: FeatureAnswer.Status) {
      statuses.append(status)
      eventTimes.append(record.eventTime)
      writeTimes.append(record.writeTime)
      lsns.append(record.lsn)
    }

    mutating func appendMissing() {
      statuses.append(.neverWritten)
      eventTimes.appendNull()
      writeTimes.appendNull()
      lsns.appendNull()
    }

    mutating func finish(_ name: String) -> FeatureBatch.Group {
      FeatureBatch.Group(
        name: name, statuses: statuses, eventTimes: eventTimes.finish(),
        writeTimes: writeTimes.finish(), lsns: lsns.finish())
    }
  }

  private func encodedKeys(
    _ group: FeatureGroup, _ keys: RecordBatch
  ) throws(FeatureStoreError) -> EncodedRows {
    var columns: [Column] = []
    for identifier in group.recordIdentifiers {
      let field = Field(identifier.name, identifier.type.dataType)
      guard let column = try Self.column(keys, field) else {
        throw FeatureStoreError(
          .invalidInput,
          "the record identifier '\(identifier.name)' of '\(group.name)' is missing")
      }
      guard column.nullCount == 0 else {
        throw FeatureStoreError(
          .invalidInput, "the record identifier '\(identifier.name)' has nulls")
      }
      columns.append(column)
    }
    return KeyCodec(group).encode(columns, rowCount: keys.rowCount)
  }

  /// The batch's column for a field; nil when it has none. Throws when it has another type.
  private static func column(
    _ batch: RecordBatch, _ field: Field
  ) throws(FeatureStoreError) -> Column? {
    guard let column = batch.column(named: field.name) else { return nil }
    guard column.type.hasSameValues(as: field.type) else {
      throw FeatureStoreError(
        .invalidInput, "the column '\(field.name)' is \(column.type), not \(field.type)")
    }
    return column
  }
}

extension DataType {
  /// Whether columns of both types are the same bytes; names of list elements do not matter.
  fileprivate func hasSameValues(as other: DataType) -> Bool {
    if case .list(let own) = self, case .list(let others) = other {
      return own.type.hasSameValues(as: others.type)
    }
    return self == other
  }
}
