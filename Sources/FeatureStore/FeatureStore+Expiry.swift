internal import FeatureModel
internal import Storage

// Records that expire by themselves, and what the offline tables need for them.
extension FeatureStore {
  static var reservedExpiryName: FeatureStoreError {
    FeatureStoreError(
      .invalidArgument,
      "'\(FeatureGroup.expiryName)' is reserved: it is the offline column for records that expire by "
        + "themselves")
  }

  /// Makes sure that the group's table can hold expiries, before the first record with one is in the log.
  /// Costs a look at the table once, and a commit if the table is older than the column.
  func prepareExpiry(_ group: FeatureGroup) throws(FeatureStoreError) {
    guard group.isOffline, !expiryGroups.withLock({ $0.contains(group.id) }) else { return }
    guard group.hasExpiryColumn else {
      throw FeatureStoreError(
        .invalidArgument,
        "records of '\(group.name)' cannot expire by themselves: the group has a column "
          + "'\(FeatureGroup.expiryName)' of its own")
    }
    // No flush may be under way: it would not know of the column, and may meet the record.
    try flushLock.withLock { _ throws(FeatureStoreError) in try tables.addMissingColumns(group) }
    expiryGroups.withLock { _ = $0.insert(group.id) }
  }

  /// The same for tasks: the file system is waited for on another thread.
  nonisolated(nonsending) func prepareExpiry(
    _ group: FeatureGroup
  ) async throws(FeatureStoreError) {
    if !group.isOffline || expiryGroups.withLock({ $0.contains(group.id) }) { return }
    let result: Result<Void, FeatureStoreError> = await withCheckedContinuation { continuation in
      do throws(StorageError) {
        _ = try BackgroundThread(name: "fstore-expiry") { [self] in
          do throws(FeatureStoreError) {
            try prepareExpiry(group)
            continuation.resume(returning: .success(()))
          } catch { continuation.resume(returning: .failure(error)) }
        }
      } catch { continuation.resume(returning: .failure(FeatureStoreError(error))) }
    }
    try result.get()
  }
}
