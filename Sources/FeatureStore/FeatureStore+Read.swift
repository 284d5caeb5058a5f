internal import FeatureModel
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

// Online reads.
extension FeatureStore {
  /// The newest values of one entity in one group, with why any of them is not there.
  ///
  /// - Parameters:
  ///   - fields: the record identifiers, as text.
  ///   - features: which ones, in this order; all of the group's if nil.
  public func get(
    _ groupName: String, fields: [String: String], features: [String]? = nil
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    let group = try group(groupName)
    let key = try encodedKey(group, fields: fields, allowsOthers: false)
    let references = (features ?? group.features.map(\.name)).map {
      FeatureReference(group: groupName, feature: $0)
    }
    return try answers(references, group, key)
  }

  /// The features of a view, of all its groups, for one set of identifiers.
  ///
  /// - Parameter fields: the record identifiers of all the view's groups, by the names that the view has for
  ///   them, as text.
  public func getFeatures(
    _ viewName: String, fields: [String: String]
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    try answers(ofView: viewName, fields) { references, group, key throws(FeatureStoreError) in
      try answers(references, group, key)
    }
  }

  /// Asks for each key of each group of a view once, and gives the answers in the view's order.
  func answers(
    ofView name: String, _ fields: [String: String],
    _ ask: ([FeatureReference], FeatureGroup, [UInt8]) throws(FeatureStoreError) -> [FeatureAnswer]
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    let view = try view(name)
    var known: Set<String> = []
    var answers: [(place: Int, answer: FeatureAnswer)] = []
    for lookup in view.lookups {
      let group = try group(lookup.group)
      known.formUnion(group.keyColumns(lookup.joinKeys))
      let key = try encodedKey(
        group, fields: fields, allowsOthers: true, joinKeys: lookup.joinKeys)
      let own = try ask(lookup.places.map { view.features[$0] }, group, key)
      answers += zip(lookup.places, own).map { ($0, $1) }
    }
    for field in fields.keys.sorted() where !known.contains(field) {
      throw Registry.unknown("record identifier of '\(name)'", field, among: known.sorted())
    }
    return answers.sorted { $0.place < $1.place }.map(\.answer)
  }

  func answers(
    _ references: [FeatureReference], _ group: FeatureGroup, _ key: [UInt8]
  ) throws(FeatureStoreError) -> [FeatureAnswer] {
    try requireOnline(group)
    do {
      let indices = try references.map { try group.featureIndex($0.feature) }
      let now = clock.nowMicroseconds()
      var failure: FeatureModelError?
      let answers = try log(for: "read online").withRecord(groupID: group.id, key: key.rawSpan) {
        record in
        // Features may have been added since the definition was looked up.
        let reader = RowReader(group, acceptsNewerRows: record.schemaVersion > group.version)
        return zip(references, indices).map { reference, index in
          let status = FeatureAnswer.Status(
            record, reference.timeToLive ?? group.timeToLive, now: now)
          var value = FeatureValue.null
          if status == .present {
            do throws(FeatureModelError) {
              value = try reader.value(index, in: record.row)
            } catch { failure = error }
          }
          return FeatureAnswer(
            name: reference.outputName, type: group.features[index].type, value: value,
            status: status == .present && value == .null ? .null : status,
            eventTime: record.eventTime, writeTime: record.writeTime, lsn: record.lsn)
        }
      }
      if let failure { throw failure }
      return answers
        ?? zip(references, indices).map { reference, index in
          FeatureAnswer(
            name: reference.outputName, type: group.features[index].type, value: .null,
            status: .neverWritten)
        }
    } catch { throw FeatureStoreError(error) }
  }

  /// Takes notice of what the writer, in another process, did since the store was opened or refreshed:
  /// what a store opened with `.readOnly` answers, and the definitions that it knows, are as of then. Does
  /// nothing in the writer itself.
  ///
  /// Cost: a few small reads and what indexing the new records costs; where the writer has removed records
  /// that this reader never saw, the index is read anew, as by `open`. Throws `.stale` when the writer
  /// is faster than that, again and again. Thread-safe; reads go on meanwhile.
  public func refresh() throws(FeatureStoreError) {
    if access == .readWrite { return }
    do {
      try refreshing.withLock { _ in
        if access == .readOnly { try follow() }
        // Afterwards: what the records are written under was defined before.
        let path = StoragePath.join(directory, Registry.fileName)
        let bytes = try fileSystem.readFile(path, limitBytes: Registry.sizeLimitBytes)
        let found = try Registry(parsing: bytes, path: path)
        guard found.storeID == storeID else {
          throw FeatureStoreError(
            .corrupt, "'\(directory)': the store \(found.storeID) has taken the place of \(storeID)"
          )
        }
        registry.withLock { $0 = found }
      }
    } catch { throw FeatureStoreError(error) }
  }

  private func follow() throws {
    let log = try log(for: "refresh")
    do throws(OnlineStoreError) { try log.refresh() } catch {
      guard case .log(.removed) = error else { throw error }
      try reopen(insteadOf: log)
    }
  }

  func requireOnline(_ group: FeatureGroup) throws(FeatureStoreError) {
    guard group.isOnline else {
      throw FeatureStoreError(
        .invalidArgument, "feature group '\(group.name)' is offline only: it has no online values")
    }
  }
}

extension FeatureAnswer.Status {
  /// Why there are values, or none.
  init(_ record: RecordView, _ timeToLive: TimeToLive, now: Int64) {
    let isExpired =
      record.eventTime < timeToLive.oldestEventTime(at: now)
      || record.expiresAt.map { $0 < now } == true
    self = record.isTombstone ? .deleted : isExpired ? .expired : .present
  }
}
