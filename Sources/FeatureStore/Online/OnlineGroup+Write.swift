public import FeatureModel
public import OnlineStore
internal import Storage

// Writes that block until they are acknowledged: on disk, unless the store's options say otherwise. All
// throw `.readOnly` when the store was not opened for writing, `.full` when there is no room.
extension OnlineGroup {
  /// An empty batch for this group.
  public func newBatch() -> OnlineBatch { OnlineBatch(self) }

  /// Puts one record; features that `fill` does not set are null. Throws as `OnlineBatch.put`, and then
  /// nothing is written. Allocates a few times a record, and not per feature.
  @discardableResult
  public func put(
    _ key: EntityKey, eventTime: Int64, expiresAt: Int64? = nil, _ fill: (inout RowWriter) -> Void
  ) throws(FeatureStoreError) -> PutReceipt {
    try write(batch(key, eventTime, expiresAt, fill))
  }

  /// Puts one record if the condition holds for what answers for its key, and says what became of it.
  @discardableResult
  public func put(
    _ key: EntityKey, eventTime: Int64, expiresAt: Int64? = nil, if condition: WriteCondition,
    _ fill: (inout RowWriter) -> Void
  ) throws(FeatureStoreError) -> WriteOutcome {
    try write(batch(key, eventTime, expiresAt, fill), if: condition)[0]
  }

  /// Writes a batch in one atomic commit.
  ///
  /// Throws `.invalidArgument` for an empty batch and for more than `FeatureStore.maximumBatchRows`.
  @discardableResult
  public func write(_ batch: OnlineBatch) throws(FeatureStoreError) -> PutReceipt {
    let log = try prepare(batch)
    do {
      let lsns = try log.append(batch.records)
      return noted(batch, firstLSN: lsns.lowerBound)
    } catch { throw store.refusal(error) }
  }

  /// Writes those records of a batch whose condition holds, in one atomic commit, and says of each what
  /// became of it. A record sees those before it. Of two writers that expect the same event time one is
  /// refused.
  public func write(
    _ batch: OnlineBatch, if condition: WriteCondition
  ) throws(FeatureStoreError) -> [WriteOutcome] {
    let log = try prepare(batch)
    do {
      let outcomes = try log.write(batch.records, if: condition)
      noteAppended(batch)
      return outcomes
    } catch { throw store.refusal(error) }
  }

  /// Writes tombstones in one atomic commit: online answers "deleted", offline gets rows with `is_deleted`.
  ///
  /// - Parameter eventTime: when the deletion happened, in microseconds since 1970-01-01T00:00:00Z; now if
  ///   it is nil. Records with a later event time are not touched.
  @discardableResult
  public func delete(
    _ keys: [EntityKey], eventTime: Int64? = nil
  ) throws(FeatureStoreError) -> PutReceipt {
    try write(tombstones(keys, eventTime))
  }

  /// Takes entities out of the online store, in one atomic commit: they answer "never written" from then
  /// on. The offline table keeps their rows. Waits for a checkpoint that runs.
  @discardableResult
  public func purge(_ keys: [EntityKey]) throws(FeatureStoreError) -> PutReceipt {
    let log = try store.requireWriter("purge records")
    for key in keys { try check(key) }
    try requireCount(keys.count)
    do {
      let lsns = try log.purge(groupID: definition.id, keys: keys.map(\.bytes))
      return PutReceipt(firstLSN: lsns.lowerBound, lastLSN: lsns.upperBound, count: keys.count)
    } catch { throw FeatureStoreError(error) }
  }

  // MARK: Pieces

  private func batch(
    _ key: EntityKey, _ eventTime: Int64, _ expiresAt: Int64?, _ fill: (inout RowWriter) -> Void
  ) throws(FeatureStoreError) -> OnlineBatch {
    var batch = newBatch()
    try batch.put(key, eventTime: eventTime, expiresAt: expiresAt, fill)
    return batch
  }

  private func tombstones(
    _ keys: [EntityKey], _ eventTime: Int64?
  ) throws(FeatureStoreError) -> OnlineBatch {
    let time = eventTime ?? store.clock.nowMicroseconds()
    var batch = newBatch()
    for key in keys { try batch.delete(key, eventTime: time) }
    return batch
  }

  private func prepare(_ batch: OnlineBatch) throws(FeatureStoreError) -> OnlineStore {
    let log = try check(batch)
    if batch.hasExpiry { try store.prepareExpiry(definition) }
    return log
  }

  /// What every write checks first.
  private func check(_ batch: OnlineBatch) throws(FeatureStoreError) -> OnlineStore {
    let log = try store.requireWriter("write records")
    guard batch.group.definition.id == definition.id, batch.group.store === store else {
      throw FeatureStoreError(
        .invalidArgument, "the batch is for '\(batch.group.name)', not for '\(name)'")
    }
    try requireCount(batch.count)
    return log
  }

  private func requireCount(_ count: Int) throws(FeatureStoreError) {
    guard 1...FeatureStore.maximumBatchRows ~= count else {
      throw FeatureStoreError(
        .invalidArgument,
        "a batch has 1 to \(FeatureStore.maximumBatchRows) records, not \(count)")
    }
  }

  private func noteAppended(_ batch: OnlineBatch) {
    store.flusher.noteAppended(bytes: batch.records.sizeBytes)
  }

  private func noted(_ batch: OnlineBatch, firstLSN: Int64) -> PutReceipt {
    noteAppended(batch)
    return PutReceipt(
      firstLSN: firstLSN, lastLSN: firstLSN + Int64(batch.count) - 1, count: batch.count)
  }
}

// The same for tasks: they suspend instead of blocking, and the writes of many tasks become one commit.
extension OnlineGroup {
  @discardableResult
  nonisolated(nonsending) public func put(
    _ key: EntityKey, eventTime: Int64, expiresAt: Int64? = nil, _ fill: (inout RowWriter) -> Void
  ) async throws(FeatureStoreError) -> PutReceipt {
    try await write(batch(key, eventTime, expiresAt, fill))
  }

  @discardableResult
  nonisolated(nonsending) public func put(
    _ key: EntityKey, eventTime: Int64, expiresAt: Int64? = nil, if condition: WriteCondition,
    _ fill: (inout RowWriter) -> Void
  ) async throws(FeatureStoreError) -> WriteOutcome {
    try await write(batch(key, eventTime, expiresAt, fill), if: condition)[0]
  }

  @discardableResult
  nonisolated(nonsending) public func write(
    _ batch: OnlineBatch
  ) async throws(FeatureStoreError) -> PutReceipt {
    let outcomes = try await write(batch, if: .always)
    guard case .written(let firstLSN, _) = outcomes[0] else {
      preconditionFailure("what has no condition is written")
    }
    return PutReceipt(
      firstLSN: firstLSN, lastLSN: firstLSN + Int64(batch.count) - 1, count: batch.count)
  }

  nonisolated(nonsending) public func write(
    _ batch: OnlineBatch, if condition: WriteCondition
  ) async throws(FeatureStoreError) -> [WriteOutcome] {
    let log = try check(batch)
    if batch.hasExpiry { try await store.prepareExpiry(definition) }
    do {
      let outcomes = try await log.writeAsynchronously(batch.records, if: condition)
      noteAppended(batch)
      return outcomes
    } catch { throw store.refusal(error) }
  }

  @discardableResult
  nonisolated(nonsending) public func delete(
    _ keys: [EntityKey], eventTime: Int64? = nil
  ) async throws(FeatureStoreError) -> PutReceipt {
    try await write(tombstones(keys, eventTime))
  }
}
