internal import FeatureModel
internal import Iceberg

/// Which snapshot of each group's table is read, by a training set or another offline read: found once, the same for
/// every use of the table, and kept from expiry while this lives.
final class TrainingSetTables {
  struct Choice {
    var table: Table
    /// nil when there is nothing to read: a table without a snapshot, or younger than what was asked for.
    var snapshotID: Int64?
    var isYounger = false
    /// Bytes of the snapshot's data files, for progress.
    var sizeBytes: Int64 = 0
    /// What the log has beyond the table; nil when that is not asked for.
    var unflushed: UnflushedTail?

    /// With what is not flushed come the table's present columns.
    var version: TableScan.Version? {
      unflushed == nil ? snapshotID.map { .snapshot($0) } : .current
    }
  }

  private let store: FeatureStore
  private let common: TrainingSetRequest.TableVersion?
  private let byGroup: [String: TrainingSetRequest.TableVersion]
  /// Of a training set that is made again: the snapshots it had; a group that is not there had none.
  private let fixed: [String: Int64?]?
  private let includesUnflushed: Bool
  private let key: [UInt8]?
  private let pins: SnapshotPins
  private(set) var choices: [String: Choice] = [:]

  convenience init(
    _ store: FeatureStore, _ request: TrainingSetRequest, fixed: [String: Int64?]? = nil
  ) throws {
    try self.init(
      store, asOf: request.asOf, byGroup: request.asOfByGroup, fixed: fixed,
      includesUnflushed: request.includesUnflushed)
  }

  /// - Parameter key: of what is not flushed only the records of this one, encoded.
  init(
    _ store: FeatureStore, asOf: TrainingSetRequest.TableVersion?,
    byGroup: [String: TrainingSetRequest.TableVersion] = [:], fixed: [String: Int64?]? = nil,
    includesUnflushed: Bool, key: [UInt8]? = nil
  ) throws {
    self.store = store
    common = asOf
    self.byGroup = byGroup
    self.fixed = fixed
    self.includesUnflushed = includesUnflushed
    self.key = key
    guard !includesUnflushed || (common == nil && byGroup.isEmpty && fixed == nil) else {
      throw FeatureStoreError(
        .invalidArgument, "what is not flushed belongs to the current tables, to no other version")
    }
    for name in byGroup.keys.sorted() { _ = try store.group(name) }
    pins = try SnapshotPins(store)
  }

  func choice(_ group: FeatureGroup) throws -> Choice {
    if let choice = choices[group.name] { return choice }
    // Expiry may take the snapshot between the look at the table and the pin; then there is a newer one.
    for _ in 0..<16 {
      let unflushed =
        includesUnflushed ? try UnflushedTail.take(group.name, of: store, key: key) : nil
      let table = try unflushed?.table ?? store.tables.load(group)
      var choice = try choose(table, group.name)
      choice.unflushed = unflushed
      guard let id = choice.snapshotID else {
        choices[group.name] = choice
        return choice
      }
      try pins.add(id, of: table)
      if try table.refresh().metadata.snapshot(id: id) != nil {
        choices[group.name] = choice
        return choice
      }
    }
    throw FeatureStoreError(
      .conflict,
      "the snapshots of '\(group.name)' expire faster than they can be read; try again")
  }

  private func choose(_ table: Table, _ group: String) throws -> Choice {
    if let fixed {
      guard let id = fixed[group] ?? nil else { return Choice(table: table) }
      return try choice(of: id, table, group)
    }
    switch byGroup[group] ?? common {
    case nil:
      guard let id = table.metadata.currentSnapshotID else { return Choice(table: table) }
      return try choice(of: id, table, group)
    case .snapshot(let id): return try choice(of: id, table, group)
    case .reference(let name):
      guard let reference = table.metadata.references[name] else {
        throw FeatureStoreError(
          .notFound, "the table of '\(group)' has no tag or branch '\(name)'")
      }
      return try choice(of: reference.snapshotID, table, group)
    case .time(let moment):
      // Snapshots have milliseconds; what was committed in the moment's own counts.
      let milliseconds = moment / 1000 - (moment % 1000 < 0 ? 1 : 0)
      if let id = table.metadata.snapshot(asOfMilliseconds: milliseconds)?.snapshotID {
        return try choice(of: id, table, group)
      }
      if let first = table.metadata.snapshots.min(by: { $0.sequenceNumber < $1.sequenceNumber }),
        first.parentSnapshotID != nil
      {
        throw FeatureStoreError(
          .notFound, "what '\(group)' was like at that time has expired: its snapshots are gone")
      }
      return Choice(table: table, isYounger: true)
    }
  }

  private func choice(of id: Int64, _ table: Table, _ group: String) throws -> Choice {
    guard let snapshot = table.metadata.snapshot(id: id) else {
      throw FeatureStoreError(.notFound, "the table of '\(group)' has no snapshot \(id)")
    }
    return Choice(
      table: table, snapshotID: id,
      sizeBytes: snapshot.summary["total-files-size"].flatMap { Int64($0) } ?? 0)
  }

  /// Lets go of the snapshots; the last reference does so, too.
  func release() { pins.release() }
}
