public import FeatureModel
internal import Storage

/// One record of a key as it was written. Times are microseconds since 1970-01-01T00:00:00Z.
public struct HistoryRecord: Hashable, Sendable {
  public var eventTime: Int64
  /// When the store accepted it; nil where another engine wrote the row without it.
  public var writeTime: Int64?
  /// Where it stands in the store's order of events.
  public var lsn: Int64
  public var isDeleted: Bool
  /// The last moment at which it counts, whatever its group's ttl; nil for no limit of its own.
  public var expiresAt: Int64?
  /// One a feature of the group, in the definition's order; null where it has none.
  public var values: [FeatureValue]
  /// The data file that has it; nil while it is in the log only.
  public var file: String?
  /// The snapshot that brought the file: the record's own flush, or a compaction since.
  public var snapshotID: Int64?

  var order: RecordOrder { RecordOrder(eventTime: eventTime, lsn: lsn) }

  /// The first moment at which it counts; nil for never.
  func visibleFrom(
    _ visibility: TrainingSetRequest.Visibility, dataDelayMicroseconds: Int64
  ) -> Int64? {
    switch visibility {
    case .event:
      let (time, overflow) = eventTime.addingReportingOverflow(dataDelayMicroseconds)
      return overflow ? nil : time
    case .ingested: return writeTime.map { max($0, eventTime) }
    }
  }

  /// What it says at a moment at which it is the newest.
  func status(_ timeToLive: TimeToLive, at moment: Int64) -> FeatureAnswer.Status {
    if isDeleted { return .deleted }
    let isExpired =
      eventTime < timeToLive.oldestEventTime(at: moment) || (expiresAt ?? .max) < moment
    return isExpired ? .expired : .present
  }
}

/// Which records of a key are asked for.
public struct HistoryRequest: Sendable {
  public var group: String
  /// The record identifiers, as text.
  public var fields: [String: String]
  /// Only so many, the newest; nil for all.
  public var last: Int?
  /// Only these event times, both ends included.
  public var eventTimes: ClosedRange<Int64> = .min ... .max
  /// Also what the log has and the offline table lacks; the store is refreshed for it, and must not have been
  /// opened for its offline tables only.
  public var includesUnflushed = true
  /// Which version of the table, nil for the current one; any other leaves out what is not flushed.
  public var version: TrainingSetRequest.TableVersion?

  public init(group: String, fields: [String: String]) {
    self.group = group
    self.fields = fields
  }
}

// What was written of a key, and what was known of it at a moment.
extension FeatureStore {
  /// The records of a key, newest first: by event time, and of one event time the last one written.
  ///
  /// Cost: reads the files and row groups that may have the key by their bounds and bloom filters, and with `last`
  /// no file that is too old. Memory: the records that are given.
  public func history(
    _ request: HistoryRequest
  ) throws(FeatureStoreError) -> [HistoryRecord] {
    let group = try group(request.group)
    let key = try encodedKey(group, fields: request.fields, allowsOthers: false)
    let limit = max(0, request.last ?? .max)
    do {
      let reader = try KeyReader(
        self, request.group, key: key, version: request.version,
        includesUnflushed: request.includesUnflushed)
      var records: [HistoryRecord] = []
      // Of event times alone: of equal ones an older file may have the later LSN.
      var oldestKept = Int64.min
      func cut() {
        guard records.count >= limit else { return }
        records.sort { $0.order > $1.order }
        records.removeSubrange(limit...)
        oldestKept = records.last?.eventTime ?? .max
      }
      func mayNeed(_ newest: Int64) -> Bool {
        cut()
        return newest >= oldestKept
      }
      try reader.read(request.eventTimes, mayNeed: mayNeed) { record in
        guard record.eventTime >= oldestKept else { return }
        records.append(record)
        if records.count / 2 > limit { cut() }
      }
      cut()
      return records.sorted { $0.order > $1.order }
    } catch { throw FeatureStoreError(error) }
  }

  /// What was known of an entity at a moment: of the records that counted then the newest, unflushed ones
  /// included.
  ///
  /// - Parameters:
  ///   - moment: microseconds since 1970-01-01T00:00:00Z.
  ///   - visibility: `.ingested` for what the online store answered then; `.event` for what a training set
  ///     has by event times, with the group's data delay, whenever it was written.
  ///   - includesUnflushed: see `HistoryRequest`.
  public func get(
    _ groupName: String, fields: [String: String], features: [String]? = nil, at moment: Int64,
    visibility: TrainingSetRequest.Visibility = .ingested, includesUnflushed: Bool = true
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    let group = try group(groupName)
    let key = try encodedKey(group, fields: fields, allowsOthers: false)
    let references = (features ?? group.features.map(\.name)).map {
      FeatureReference(group: groupName, feature: $0)
    }
    return try answers(references, group, key, moment, visibility, includesUnflushed)
  }

  /// The same for the features of a view, of all its groups.
  public func getFeatures(
    _ viewName: String, fields: [String: String], at moment: Int64,
    visibility: TrainingSetRequest.Visibility = .ingested, includesUnflushed: Bool = true
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    try answers(ofView: viewName, fields) { references, group, key throws(FeatureStoreError) in
      try answers(references, group, key, moment, visibility, includesUnflushed)
    }
  }

  private func answers(
    _ references: [FeatureReference], _ group: FeatureGroup, _ key: [UInt8], _ moment: Int64,
    _ visibility: TrainingSetRequest.Visibility, _ includesUnflushed: Bool
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    do {
      let reader = try KeyReader(
        self, group.name, key: key, includesUnflushed: includesUnflushed)
      let indices = try references.map { try reader.group.featureIndex($0.feature) }
      var newest: HistoryRecord?
      func mayNeed(_ time: Int64) -> Bool { time >= newest?.eventTime ?? .min }
      try reader.read(.min...moment, mayNeed: mayNeed) { record in
        guard
          let from = record.visibleFrom(
            visibility, dataDelayMicroseconds: reader.group.dataDelayMicroseconds), from <= moment
        else { return }
        if newest.map({ $0.order < record.order }) ?? true { newest = record }
      }
      return zip(references, indices).map { reference, index in
        let timeToLive = reference.timeToLive ?? reader.group.timeToLive
        let status = newest?.status(timeToLive, at: moment) ?? .neverWritten
        let value = status == .present ? newest?.values[index] ?? .null : .null
        return FeatureAnswer(
          name: reference.outputName, type: reader.group.features[index].type, value: value,
          status: status == .present && value == .null ? .null : status,
          eventTime: newest?.eventTime, writeTime: newest?.writeTime, lsn: newest?.lsn)
      }
    } catch { throw FeatureStoreError(error) }
  }
}
