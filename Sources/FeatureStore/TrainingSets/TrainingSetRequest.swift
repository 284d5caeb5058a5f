public import Columnar

/// What training set to extract: for which rows, which features, known when, and where it goes.
public struct TrainingSetRequest: Sendable {
  public enum Visibility: String, Hashable, Sendable {
    /// A value is visible from its event time on.
    case event
    /// A value is visible once it has happened and the store has accepted it: what the online store
    /// really knew at that moment.
    case ingested
  }

  /// Which rows the training set has.
  public enum Spine: Sendable {
    /// The rows of these files, and of the files below these folders in the order of their paths: .csv, .tsv,
    /// .jsonl, .parquet or .arrow. All of them have the same columns.
    case files([String])
    /// Rows in memory, all under one schema. They are shared, not copied.
    case batches([RecordBatch])
    /// One row a record of a feature group, with its key, its event time and these features of it: a label that
    /// is a feature itself. Deletes are no records here.
    case group(String, filter: String? = nil, features: [String] = [])
    /// One row for each key and each of these moments, in the order of the moments, then of the keys; but only
    /// for keys of which some group had an event by then. Moments are microseconds since 1970.
    ///
    /// - Parameter groups: whose keys; empty for all groups of the request. They have the same record
    ///   identifiers.
    case allKeys(of: [String] = [], at: [Int64])
    /// One row for each change: each key and event time of the groups' records, deletes included, from the first
    /// moment on and before the second, in the order of the times, then of the keys. Several groups, or several
    /// records, with an event of one key at one time make one row.
    ///
    /// - Parameter groups: as above.
    case changes(of: [String] = [], from: Int64, to: Int64)
  }

  /// When the reason of every null is found, which takes reading the keys of what can give no value.
  public enum NullReasons: String, Hashable, Sendable, CaseIterable {
    /// Of tables of up to 64 MiB. Of larger ones files and row groups are skipped that cannot give a value; a
    /// null that may have its reason there is counted as not read.
    case ifCheap = "if-cheap"
    case always
    case never
  }

  /// A version of a table.
  public enum TableVersion: Hashable, Sendable {
    /// As it was at a time, in microseconds since 1970.
    case time(Int64)
    case snapshot(Int64)
    /// A tag, or the head of a branch.
    case reference(String)
  }

  public var spine: Spine
  /// The spine's column of moments, unless a group or a feature has one of its own. Spines that are made of
  /// a feature group name it like the group's event time; those of keys and changes as this says.
  public var timeColumn: String
  /// The spine's column of moments for the features of a group.
  public var timeColumns: [String: String] = [:]
  public var output: TrainingSetOutput
  public var replacesOutput = false
  /// Parts, each an output of its own, named like the output with the part's name at its end: `set-train.parquet`.
  public var split: TrainingSetSplit?
  /// A view, or else `features`.
  public var view: String?
  /// References as text: `FeatureStore.featureReferences` explains them.
  public var features: [String] = []
  /// The spine's column for a record identifier, as the references call it, where its name is another.
  public var keyColumns: [String: String] = [:]
  public var visibility = Visibility.event
  /// Whether only what is from before the moment counts, and not what is from the moment itself.
  public var isStrict = false
  /// A value that was written after its row's moment is null, and counts as late, instead of letting the past be
  /// rewritten by a backfill. (`Visibility.ingested` takes the value that was there.)
  public var excludesLate = false
  public var nullReasons = NullReasons.ifCheap
  /// For a group: how long after its event a record is known, in microseconds, instead of what its definition says.
  public var dataDelays: [String: Int64] = [:]
  /// Which version of the tables is read; nil for the current one. A table that is younger has no values.
  public var asOf: TableVersion?
  /// The same for the table of one group.
  public var asOfByGroup: [String: TableVersion] = [:]
  /// Also what the log has and the tables lack; of the current version only. The store must not have been opened
  /// for its offline tables alone, and is refreshed. A spine that is made of tables is made of what they have.
  public var includesUnflushed = false

  public init(spine: Spine, timeColumn: String, output: TrainingSetOutput) {
    self.spine = spine
    self.timeColumn = timeColumn
    self.output = output
  }

  /// From a file to a file.
  public init(spineFile: String, timeColumn: String, outputFile: String) {
    self.init(spine: .files([spineFile]), timeColumn: timeColumn, output: .file(outputFile))
  }
}

/// What an extraction gave.
public struct TrainingSetReport: Sendable {
  /// For one group, at one of the spine's time columns: how many of the spine's rows got values, and why the
  /// others did not.
  public struct Group: Sendable {
    public var name: String
    /// The columns of the training set that are meant.
    public var columns: [String] = []
    public var timeColumn = ""
    /// The snapshot that was read; nil for a table without one.
    public var snapshotID: Int64?
    /// Whether the table is younger than the version asked for, so that nothing of it was read.
    public var isYounger = false
    public var foundCount = 0
    public var neverWrittenCount = 0
    /// The entity's records are all from after the row's time.
    public var onlyLaterCount = 0
    /// There are events from before the row's time, but they were written after it.
    public var lateCount = 0
    public var expiredCount = 0
    public var deletedCount = 0
    /// The row's key or time is null.
    public var noKeyCount = 0
    /// Nothing counts for the row, and why was not looked for: what is too old or too new for all rows was not
    /// read, or the key was never written. `TrainingSetRequest.nullReasons` says when.
    public var notReadCount = 0
    /// Rows whose value was written after their own time, late or by a backfill: what no one could have known
    /// then. They have the value, or null where such values are left out.
    public var writtenLaterCount = 0
    public var filesRead = 0
    /// Files whose bounds say that no row of theirs could count.
    public var filesSkipped = 0

    init(name: String) { self.name = name }
  }

  /// One part of a split.
  public struct Part: Hashable, Sendable {
    public var name: String
    public var rowCount: Int
  }

  public var rowCount = 0
  public var columnCount = 0
  /// Of a split, in its order; otherwise empty.
  public var parts: [Part] = []
  public var files: [TrainingSetFile] = []
  /// Of all files written.
  public var sizeBytes: Int64 = 0
  public var groups: [Group] = []
}
