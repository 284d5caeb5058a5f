public import FeatureModel
internal import OnlineStore
internal import Storage

/// Records of one group to write together, atomically; `OnlineGroup.write` takes it. They are encoded as they
/// will lie in the log, in one growing block of memory.
public struct OnlineBatch: Sendable {
  let group: OnlineGroup
  private(set) var records = WriteBatch()
  /// Whether a record expires by itself.
  private(set) var hasExpiry = false
  private var row: RowWriter

  init(_ group: OnlineGroup) {
    self.group = group
    row = RowWriter(group.layout)
  }

  public var count: Int { records.count }

  /// Adds a record; features that `fill` does not set are null.
  ///
  /// Throws `.invalidInput`, naming group and feature, when a value does not fit; then the batch is as
  /// before.
  ///
  /// - Parameters:
  ///   - eventTime: microseconds since 1970-01-01T00:00:00Z, as the next.
  ///   - expiresAt: the last moment at which the record counts, whatever its group's ttl; nil for no limit
  ///     of its own.
  public mutating func put(
    _ key: EntityKey, eventTime: Int64, expiresAt: Int64? = nil, _ fill: (inout RowWriter) -> Void
  ) throws(FeatureStoreError) {
    try group.check(key)
    row.removeAll()
    fill(&row)
    if let error = row.error { throw FeatureStoreError(error) }
    let bytes = row.bytes
    records.put(
      groupID: key.groupID, schemaVersion: group.definition.version, eventTime: eventTime,
      expiresAt: expiresAt, key: key.bytes.rawSpan, row: bytes.rawSpan)
    if expiresAt != nil { hasExpiry = true }
  }

  /// Adds a tombstone.
  public mutating func delete(
    _ key: EntityKey, eventTime: Int64
  ) throws(FeatureStoreError) {
    try group.check(key)
    records.delete(
      groupID: key.groupID, schemaVersion: group.definition.version, eventTime: eventTime,
      key: key.bytes.rawSpan)
  }
}
