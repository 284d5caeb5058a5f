public import FeatureModel
internal import OnlineStore
internal import Storage

// Reads may be called from tasks as they are: they take no lock, make no system call and never wait for
// writers.
extension OnlineGroup {
  /// Shows the record that answers for a key; returns nil when nothing was ever written.
  ///
  /// Throws what `body` throws, and `FeatureStoreError`. Cost: two or three cache misses and a checksum,
  /// no allocation. `body` should be short: memory that writers have replaced is kept meanwhile.
  @inlinable public func withRecord<Result>(
    _ key: EntityKey, _ body: (OnlineRecord) throws -> Result
  ) throws -> Result? {
    var result: Result?
    try show(key) { result = try body($0) }
    return result
  }

  /// The same, of one type for all results: generic code that is not specialized is slow.
  @usableFromInline func show(
    _ key: EntityKey, _ body: (OnlineRecord) throws -> Void
  ) throws {
    try check(key)
    var failure: (any Error)?
    do {
      _ = try log.withRecord(groupID: key.groupID, key: key.bytes.rawSpan) { view in
        let record = OnlineRecord(view, self, status(view))
        do { try body(record) } catch { failure = error }
      }
    } catch { throw FeatureStoreError(error) }
    if let failure { throw failure }
  }

  /// Shows the records of many keys, in their order, with the key's index; those of keys that were never
  /// written are left out. Much cheaper than one by one, because the cache misses of all keys overlap.
  ///
  /// Throws as `withRecord`; after `body` has thrown it sees no more records.
  public func withRecords(
    _ keys: [EntityKey], _ body: (Int, OnlineRecord) throws -> Void
  ) throws {
    try store.withRecords(keys, of: [self], body)
  }

  /// Features of one entity as values, with why any of them is not there.
  ///
  /// - Parameter features: which ones, in this order; all of the group's if nil.
  public func get(
    _ key: EntityKey, features: [Int]? = nil
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    try check(key)
    var references: [FeatureReference] = []
    for feature in features ?? Array(definition.features.indices) {
      guard definition.features.indices.contains(feature) else {
        throw FeatureStoreError(
          .invalidArgument, "feature group '\(name)' has no feature at \(feature)")
      }
      references.append(
        FeatureReference(group: name, feature: definition.features[feature].name))
    }
    return try store.answers(references, definition, key.bytes)
  }

  /// Why the record gives values, or none.
  func status(_ record: RecordView) -> FeatureAnswer.Status {
    // The clock is asked only where it matters.
    if record.isTombstone { return .deleted }
    if definition.timeToLive == .infinite, record.expiresAt == nil { return .present }
    return FeatureAnswer.Status(record, definition.timeToLive, now: store.clock.nowMicroseconds())
  }
}

extension FeatureStore {
  /// Shows the records of many keys of several groups in one pass, as `OnlineGroup.withRecords`.
  ///
  /// - Parameter groups: the groups that the keys are of, prepared by this store.
  public func withRecords(
    _ keys: [EntityKey], of groups: [OnlineGroup], _ body: (Int, OnlineRecord) throws -> Void
  ) throws {
    var encoded = EncodedRows()
    encoded.reserveCapacity(
      rowCount: keys.count, sizeBytes: keys.reduce(0) { $0 + $1.bytes.count })
    for key in keys {
      guard groups.contains(where: { $0.definition.id == key.groupID && $0.store === self }) else {
        throw FeatureStoreError(
          .invalidArgument, "a key is of none of the groups \(groups.map(\.name))")
      }
      encoded.append(key.bytes.rawSpan)
    }
    var failure: (any Error)?
    do {
      try log(for: "read online").withRecords(groupIDs: keys.map(\.groupID), keys: encoded) {
        index, view in
        guard failure == nil,
          let group = groups.first(where: { $0.definition.id == view.groupID })
        else { return }
        let record = OnlineRecord(view, group, group.status(view))
        do { try body(index, record) } catch { failure = error }
      }
    } catch { throw FeatureStoreError(error) }
    if let failure { throw failure }
  }
}
