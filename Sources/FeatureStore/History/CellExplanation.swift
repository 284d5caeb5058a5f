public import FeatureModel

/// Why a cell of a training set is what it is. Times are microseconds since 1970-01-01T00:00:00Z.
public struct CellExplanation: Sendable {
  /// What a record of the cell's key is to it.
  public enum Standing: String, Hashable, Sendable {
    /// The newest that counts: the cell has its value, or null where it is deleted or expired.
    case won
    /// It counts, and a newer one does, too.
    case older
    /// It counts for later moments only.
    case onlyLater = "only later"
    /// It happened by then, and was written later.
    case late
  }

  /// Why the cell has a value, or none.
  public enum Outcome: String, Hashable, Sendable {
    case found
    /// The record that won has no value of this feature.
    case null
    case neverWritten = "never written"
    case onlyLater = "only later"
    case late = "arrived late"
    case expired
    case deleted
    /// The row has no key or no time.
    case noKey = "no key"
  }

  public var column: String
  public var group: String
  public var feature: String
  /// Where it is among the values of a record.
  public var featureIndex: Int
  public var type: FeatureType
  /// The row's record identifiers; null where the row has none.
  public var key: [FeatureValue]
  /// The row's moment for this feature.
  public var moment: Int64?
  public var outcome: Outcome
  /// What the tables say.
  public var value: FeatureValue
  /// What the file says; nil when it has no such column.
  public var fileValue: FeatureValue?
  /// All records of the key, newest first.
  public var records: [(record: HistoryRecord, standing: Standing)]

  public var winner: HistoryRecord? { records.first { $0.standing == .won }?.record }
}

/// What `auditTrainingSet` has found.
public struct TrainingSetAudit: Sendable {
  /// What is wrong with a cell.
  public enum Finding: String, Hashable, Sendable, CaseIterable {
    /// Its value is that of an event after the row's moment.
    case knowsTheFuture = "knows the future"
    /// Its value is that of a record that was written after the row's moment, where those do not count.
    case knowsWhatCameLate = "knows what came late"
    /// Its value is that of a record that does not count any more: another one is newer, or it has expired or was
    /// deleted.
    case outdated
    /// It is null, and a record counts.
    case missing
    /// No record of the key has that value.
    case noRecords = "no record's value"
  }

  public struct Cell: Hashable, Sendable {
    /// Counted from 0.
    public var row: Int
    public var column: String
    public var type: FeatureType
    public var key: [FeatureValue]
    public var moment: Int64?
    public var value: FeatureValue
    /// What the tables say.
    public var expected: FeatureValue
    public var finding: Finding
    /// The event time of the record whose value the cell has, if one has.
    public var eventTime: Int64?
  }

  public var rowCount = 0
  public var columnCount = 0
  /// Cells that are not what the tables say.
  public var differingCount = 0
  /// Of these, those listed.
  public var cells: [Cell] = []
  public static let listedCellLimit = 1000
  /// Rows that use, rightly, a value that was written after their own moment, by group.
  public var writtenLaterCounts: [(group: String, rowCount: Int)] = []
}
