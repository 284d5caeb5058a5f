internal import Columnar
internal import FeatureModel
internal import OnlineStore
internal import Storage

/// Reads features of several groups for many keys: one pass over the online store, in which each record's
/// features, and only those asked for, go from where they lie into their columns.
struct FeatureBatchReader {
  private let store: FeatureStore
  private let log: OnlineStore
  private let references: [FeatureReference]
  private let rowCount: Int
  private var groups: [Answer] = []

  /// Which features are asked of a group, and by which of the batch's columns.
  struct Lookup {
    var group: FeatureGroup
    var joinKeys: [String: String]
    /// Where these features are among the references.
    var places: [Int]

    var keyColumns: [String] { group.keyColumns(joinKeys) }
  }

  init(
    _ store: FeatureStore, _ references: [FeatureReference], _ lookups: [Lookup],
    _ keys: RecordBatch
  ) throws(FeatureStoreError) {
    let known = lookups.flatMap(\.keyColumns)
    for field in keys.schema.fields where !known.contains(field.name) {
      throw Registry.unknown("record identifier", field.name, among: known)
    }
    self.store = store
    self.references = references
    log = try store.log(for: "read online")
    rowCount = keys.rowCount
    for lookup in lookups {
      try store.requireOnline(lookup.group)
      let own = try store.encodedKeys(lookup.group, keys, joinKeys: lookup.joinKeys)
      do {
        groups.append(try Answer(lookup, references, keys: own))
      } catch { throw FeatureStoreError(error) }
    }
  }

  /// What is gathered for one lookup.
  private struct Answer {
    let group: FeatureGroup
    private let keyColumns: [String]
    let keys: EncodedRows
    private let reader: RowReader
    /// For records that were written after the definition was looked up.
    private let newerReader: RowReader
    /// Which of the references are this lookup's.
    let wanted: [Int]
    private let features: [Int]
    /// For each feature the ttl of its reference, which is no longer than the group's.
    private let ownTimesToLive: [TimeToLive?]
    private var builders: [ValueColumnBuilder]
    private var statuses: [FeatureAnswer.Status] = []
    private var eventTimes = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
    private var writeTimes = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
    private var lsns = FixedWidthBuilder(.int64, zero: Int64(0))

    init(
      _ lookup: Lookup, _ references: [FeatureReference], keys: EncodedRows
    ) throws(FeatureModelError) {
      group = lookup.group
      keyColumns = lookup.keyColumns
      self.keys = keys
      wanted = lookup.places
      reader = RowReader(group)
      newerReader = RowReader(group, acceptsNewerRows: true)
      var features: [Int] = []
      for index in wanted { features.append(try group.featureIndex(references[index].feature)) }
      self.features = features
      ownTimesToLive = wanted.map { references[$0].timeToLive }
      builders = features.map { ValueColumnBuilder(lookup.group.features[$0].type) }
    }

    /// Keys that nothing was written for are not shown.
    mutating func appendMissing(upTo row: Int) {
      while statuses.count < row {
        statuses.append(.neverWritten)
        eventTimes.appendNull()
        writeTimes.appendNull()
        lsns.appendNull()
        for index in builders.indices { builders[index].appendNull() }
      }
    }

    mutating func append(_ record: RecordView, now: Int64) throws(FeatureModelError) {
      let status = FeatureAnswer.Status(record, group.timeToLive, now: now)
      statuses.append(status)
      eventTimes.append(record.eventTime)
      writeTimes.append(record.writeTime)
      lsns.append(record.lsn)
      let isNewer = record.schemaVersion > group.version
      for (index, feature) in features.enumerated() {
        if status != .present || isTooOld(record, feature: index, now: now) {
          builders[index].appendNull()
        } else if isNewer {
          try newerReader.append(feature, of: record.row, to: &builders[index])
        } else {
          try reader.append(feature, of: record.row, to: &builders[index])
        }
      }
    }

    private func isTooOld(_ record: RecordView, feature: Int, now: Int64) -> Bool {
      guard let own = ownTimesToLive[feature] else { return false }
      return record.eventTime < own.oldestEventTime(at: now)
    }

    mutating func finish() -> (columns: [Column], facts: FeatureBatch.Group) {
      let facts = FeatureBatch.Group(
        name: group.name, keyColumns: keyColumns, statuses: statuses,
        eventTimes: eventTimes.finish(),
        writeTimes: writeTimes.finish(), lsns: lsns.finish())
      return (builders.indices.map { builders[$0].finish() }, facts)
    }
  }

  /// Rows after which other tasks may run.
  private static let taskRows = 1024

  func readAll() throws(FeatureStoreError) -> FeatureBatch {
    var reader = self
    try reader.read(0..<rowCount, now: store.clock.nowMicroseconds())
    return reader.finish()
  }

  nonisolated(nonsending) func readAll() async throws(FeatureStoreError) -> FeatureBatch {
    var reader = self
    let now = store.clock.nowMicroseconds()
    for first in stride(from: 0, to: rowCount, by: Self.taskRows) {
      if first > 0 { await Task.yield() }
      try reader.read(first..<min(first + Self.taskRows, rowCount), now: now)
    }
    return reader.finish()
  }

  private mutating func read(_ rows: Range<Int>, now: Int64) throws(FeatureStoreError) {
    // Group after group, so that a key's index says to which it belongs.
    var keys = groups.count == 1 && rows.count == rowCount ? groups[0].keys : EncodedRows()
    if keys.count == 0 {
      keys.reserveCapacity(
        rowCount: rows.count * groups.count,
        sizeBytes: groups.reduce(0) { $0 + $1.keys.sizeBytes(rows) })
      for group in groups {
        for row in rows { keys.append(group.keys[row]) }
      }
    }
    let groupIDs = groups.flatMap { repeatElement($0.group.id, count: rows.count) }
    var failure: FeatureModelError?
    do {
      try log.withRecords(groupIDs: groupIDs, keys: keys) { index, record in
        guard failure == nil else { return }
        let group = index / rows.count
        groups[group].appendMissing(upTo: rows.lowerBound + index % rows.count)
        do throws(FeatureModelError) { try groups[group].append(record, now: now) } catch {
          failure = error
        }
      }
      if let failure { throw failure }
    } catch { throw FeatureStoreError(error) }
    for group in groups.indices { groups[group].appendMissing(upTo: rows.upperBound) }
  }

  private consuming func finish() -> FeatureBatch {
    var columns: [Column?] = Array(repeating: nil, count: references.count)
    var facts: [FeatureBatch.Group] = []
    for index in groups.indices {
      let answer = groups[index].finish()
      for (place, column) in zip(groups[index].wanted, answer.columns) { columns[place] = column }
      facts.append(answer.facts)
    }
    let found = columns.compactMap(\.self)
    precondition(found.count == references.count, "every reference has a column")
    let fields = zip(references, found).map { Field($0.outputName, $1.type) }
    return FeatureBatch(
      features: RecordBatch(schema: Schema(fields), columns: found, rowCount: rowCount),
      groups: facts)
  }
}
