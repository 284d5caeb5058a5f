public import Columnar

/// The answer to a batch of keys: one row a key, in the order in which they were asked.
public struct FeatureBatch: Sendable {
  /// What is to be said of each row for one group.
  public struct Group: Sendable {
    public var name: String
    /// The columns of the keys that it was asked by, in the order of its record identifiers: a view may ask one group
    /// by several.
    public var keyColumns: [String]
    /// Why there are values, or none; `present` rows may still have null values.
    public var statuses: [FeatureAnswer.Status]
    /// Microseconds since 1970-01-01T00:00:00Z; null where nothing was ever written.
    public var eventTimes: Column
    /// When the store accepted the record; null where nothing was ever written.
    public var writeTimes: Column
    public var lsns: Column
  }

  /// The features, one column each, in the order asked.
  public var features: RecordBatch
  public var groups: [Group]
}
