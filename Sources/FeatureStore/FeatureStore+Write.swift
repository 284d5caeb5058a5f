internal import Columnar
internal import FeatureModel
internal import FileFormats
public import OnlineStore
internal import Storage

// Writing records. Every one goes through the log; what a call returned is on disk.
extension FeatureStore {
  /// The most records that one call takes: they are one atomic entry of the log.
  public static let maximumBatchRows = 4096

  /// Puts one record, its values as text in the spellings that CSV files use. What is not named is null.
  /// `OnlineGroup.put` takes typed values.
  ///
  /// Throws `.invalidInput` when the key or the event time is missing or a value does not fit its type,
  /// `.notFound` for an unknown name; then nothing was written.
  ///
  /// - Parameter timeToLiveMicroseconds: how long after its event time the record counts, within its group's
  ///   ttl; nil for as long as that says.
  @discardableResult
  public func put(
    _ groupName: String, fields: [String: String], timeToLiveMicroseconds: Int64? = nil
  ) throws(FeatureStoreError) -> PutReceipt {
    let log = try requireWriter("put a record")
    return try append(try batch(groupName, fields, timeToLiveMicroseconds), to: log)
  }

  /// Puts one record if the condition holds for what answers for its key, and says what became of it.
  public func put(
    _ groupName: String, fields: [String: String], timeToLiveMicroseconds: Int64? = nil,
    if condition: WriteCondition
  ) throws(FeatureStoreError) -> WriteOutcome {
    let log = try requireWriter("put a record")
    try requireOnline(try group(groupName))
    let batch = try batch(groupName, fields, timeToLiveMicroseconds)
    do {
      let outcomes = try log.write(batch, if: condition)
      flusher.noteAppended(bytes: batch.sizeBytes)
      return outcomes[0]
    } catch { throw FeatureStoreError(error) }
  }

  private func batch(
    _ groupName: String, _ fields: [String: String], _ timeToLive: Int64?
  ) throws(FeatureStoreError) -> WriteBatch {
    let group = try group(groupName)
    let columns = try columns(group, fields: fields)
    let encoded = RecordEncoder(group).encode(columns, rowCount: 1)
    if let refusal = encoded.refusals.first { throw FeatureStoreError(refusal.error) }
    if let timeToLive {
      guard timeToLive >= 0 else {
        throw FeatureStoreError(.invalidArgument, "a ttl of \(timeToLive) microseconds is negative")
      }
      try prepareExpiry(group)
    }
    return batch(encoded, group, timeToLive: timeToLive)
  }

  /// Writes a tombstone: online answers "deleted", offline gets a row with `is_deleted`.
  ///
  /// - Parameters:
  ///   - key: the record identifiers as text.
  ///   - eventTime: when the deletion happened, ISO 8601; now if it is nil. Records with a later event
  ///     time are not touched.
  @discardableResult
  public func delete(
    _ groupName: String, key: [String: String], eventTime: String? = nil
  ) throws(FeatureStoreError) -> PutReceipt {
    let log = try requireWriter("delete a record")
    let group = try group(groupName)
    var time = clock.nowMicroseconds()
    if let eventTime { time = try Self.moment(eventTime, of: "the event time ") }
    let tombstone = LogEntry(
      .tombstone, groupID: group.id, schemaVersion: group.version, eventTime: time,
      key: try encodedKey(group, fields: key, allowsOthers: false))
    do {
      let lsns = try log.append([tombstone])
      flusher.noteAppended(bytes: tombstone.key.count)
      return PutReceipt(firstLSN: lsns.lowerBound, lastLSN: lsns.upperBound, count: 1)
    } catch { throw refusal(error) }
  }

  /// Takes an entity out of the online store: it answers "never written" from then on, and its bytes go
  /// when the log is cleaned. The offline table keeps its rows; `delete` is what both stores hear of.
  @discardableResult
  public func purge(
    _ groupName: String, key: [String: String]
  ) throws(FeatureStoreError) -> PutReceipt {
    let log = try requireWriter("purge a record")
    let group = try group(groupName)
    let key = try encodedKey(group, fields: key, allowsOthers: false)
    do {
      let lsn = try log.purge(groupID: group.id, key: key)
      return PutReceipt(firstLSN: lsn, lastLSN: lsn, count: 1)
    } catch { throw FeatureStoreError(error) }
  }

  /// Appends the rows of an encoded batch that were not refused, in one commit.
  ///
  /// - Precondition: at least one row was not refused.
  func append(
    _ encoded: RecordEncoder.Encoded, _ group: FeatureGroup, to log: OnlineStore
  ) throws(FeatureStoreError) -> PutReceipt {
    try append(batch(encoded, group), to: log)
  }

  private func append(
    _ batch: consuming WriteBatch, to log: OnlineStore
  ) throws(FeatureStoreError) -> PutReceipt {
    let (count, sizeBytes) = (batch.count, batch.sizeBytes)
    do {
      let lsns = try log.append(batch)
      flusher.noteAppended(bytes: sizeBytes)
      return PutReceipt(firstLSN: lsns.lowerBound, lastLSN: lsns.upperBound, count: count)
    } catch { throw refusal(error) }
  }

  private func batch(
    _ encoded: RecordEncoder.Encoded, _ group: FeatureGroup, timeToLive: Int64? = nil
  ) -> WriteBatch {
    var batch = WriteBatch()
    batch.reserveCapacity(
      recordCount: encoded.eventTimes.count,
      sizeBytes: encoded.rows.bytes.count + encoded.keys.bytes.count)
    var refusals = encoded.refusals[...]
    for row in encoded.eventTimes.indices {
      if refusals.first?.row == row {
        refusals.removeFirst()
        continue
      }
      let expiresAt = timeToLive.map { length in
        let (time, overflow) = encoded.eventTimes[row].addingReportingOverflow(length)
        return overflow ? Int64.max : time
      }
      batch.put(
        groupID: group.id, schemaVersion: group.version, eventTime: encoded.eventTimes[row],
        expiresAt: expiresAt, key: encoded.keys[row], row: encoded.rows[row])
    }
    return batch
  }

  // MARK: Text

  /// One record's columns, in the order of `recordSchema`, from text.
  private func columns(
    _ group: FeatureGroup, fields: [String: String]
  ) throws(FeatureStoreError) -> [Column] {
    let schema = group.recordSchema
    for name in fields.keys.sorted() where schema.index(of: name) == nil {
      throw Registry.unknown("column of '\(group.name)'", name, among: schema.fields.map(\.name))
    }
    var columns: [Column] = []
    for field in schema.fields {
      let builder = AnyColumnBuilder(field.type)
      if let text = fields[field.name] {
        try Self.append(text, field, to: builder)
      } else {
        builder.appendNull()
      }
      columns.append(builder.finish())
    }
    return columns
  }

  /// An entity key from text.
  ///
  /// - Parameter allowsOthers: whether `fields` may name what is no identifier of this group (views
  ///   take the identifiers of all their groups at once).
  /// - Parameter joinKeys: what `fields` call identifiers, where it is something else.
  func encodedKey(
    _ group: FeatureGroup, fields: [String: String], allowsOthers: Bool,
    joinKeys: [String: String] = [:]
  ) throws(FeatureStoreError) -> [UInt8] {
    let names = group.keyColumns(joinKeys)
    if !allowsOthers {
      for name in fields.keys.sorted() where !names.contains(name) {
        throw Registry.unknown("record identifier of '\(group.name)'", name, among: names)
      }
    }
    var columns: [Column] = []
    for (name, identifier) in zip(names, group.recordIdentifiers) {
      guard let text = fields[name] else {
        throw FeatureStoreError(
          .invalidInput,
          "the record identifier '\(name)' of '\(group.name)' is missing: its key is "
            + names.joined(separator: ", "))
      }
      let field = Field(name, identifier.type.dataType)
      let builder = AnyColumnBuilder(field.type)
      try Self.append(text, field, to: builder)
      columns.append(builder.finish())
    }
    return KeyCodec(group).encode(columns, rowCount: 1).array(0)
  }

  private static func append(
    _ text: String, _ field: Field, to builder: AnyColumnBuilder
  ) throws(FeatureStoreError) {
    do {
      try ValueParser(field.type).append(text, to: builder)
    } catch {
      throw FeatureStoreError(
        .invalidInput, "'\(text)' for '\(field.name)' (\(field.type)) \(error)", cause: error)
    }
  }
}
