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
    try reader(groupName, keys, features).readAll()
  }

  /// The same for tasks: lets others run after every 1024 keys.
  nonisolated(nonsending) public func get(
    _ groupName: String, keys: RecordBatch, features: [String]? = nil
  ) async throws(FeatureStoreError) -> FeatureBatch {
    try await reader(groupName, keys, features).readAll()
  }

  /// The features of a view, of all its groups, for many rows of identifiers in one call.
  ///
  /// - Parameter keys: the record identifiers of all the view's groups, one column each, matched by
  ///   the names that the view has for them; no nulls.
  public func getFeatures(
    _ viewName: String, keys: RecordBatch
  ) throws(FeatureStoreError) -> FeatureBatch {
    try reader(ofView: viewName, keys).readAll()
  }

  /// The same for tasks: lets others run after every 1024 keys of each group.
  nonisolated(nonsending) public func getFeatures(
    _ viewName: String, keys: RecordBatch
  ) async throws(FeatureStoreError) -> FeatureBatch {
    try await reader(ofView: viewName, keys).readAll()
  }

  private func reader(
    _ groupName: String, _ keys: RecordBatch, _ features: [String]?
  ) throws(FeatureStoreError) -> FeatureBatchReader {
    let group = try group(groupName)
    let references = (features ?? group.features.map(\.name)).map {
      FeatureReference(group: groupName, feature: $0)
    }
    let lookup = FeatureBatchReader.Lookup(
      group: group, joinKeys: [:], places: Array(references.indices))
    return try FeatureBatchReader(self, references, [lookup], keys)
  }

  private func reader(
    ofView name: String, _ keys: RecordBatch
  ) throws(FeatureStoreError) -> FeatureBatchReader {
    let view = try view(name)
    var lookups: [FeatureBatchReader.Lookup] = []
    for lookup in view.lookups {
      lookups.append(
        .init(
          group: try group(lookup.group), joinKeys: lookup.joinKeys, places: lookup.places))
    }
    return try FeatureBatchReader(self, view.features, lookups, keys)
  }

  /// - Parameter joinKeys: what the batch calls identifiers, where it is something else.
  func encodedKeys(
    _ group: FeatureGroup, _ keys: RecordBatch, joinKeys: [String: String] = [:]
  ) throws(FeatureStoreError) -> EncodedRows {
    var columns: [Column] = []
    for (name, identifier) in zip(group.keyColumns(joinKeys), group.recordIdentifiers) {
      let field = Field(name, identifier.type.dataType)
      guard let column = try Self.column(keys, field) else {
        throw FeatureStoreError(
          .invalidInput,
          "the record identifier '\(field.name)' of '\(group.name)' is missing")
      }
      guard column.nullCount == 0 else {
        throw FeatureStoreError(
          .invalidInput, "the record identifier '\(field.name)' has nulls")
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
