internal import Iceberg
internal import PointInTime

extension GroupExtraction {
  /// Which of a group's records count for a row of the spine whose moment is t. Lengths of time are
  /// microseconds.
  ///
  /// Each reference may have a ttl of its own (`FeatureReference.timeToLive`); the group's counts where it has
  /// none.
  struct Options: Hashable, Sendable {
    /// Which version of the table is read. Nil when there is none: the table is younger than what was asked
    /// for. Then no file is read, and every row's outcome is "never written".
    var version: TableScan.Version?
    var visibility = JoinRules.Visibility.event
    /// Whether a record that becomes visible at t itself counts.
    var bounds = JoinRules.Bounds.inclusive
    /// A record becomes visible this long after its event: event time + delay <= t, or < t with strict bounds.
    /// Not negative. The ttl goes by the event time all the same.
    var dataDelayMicroseconds: Int64 = 0
    /// A row whose record was written after t gets null, and counts as late: no older record takes the winner's
    /// place. (With `.ingested` an older one does, and nothing is late in this sense.)
    var excludesLate = false

    var nullReasons = TrainingSetRequest.NullReasons.ifCheap

    init(version: TableScan.Version?) { self.version = version }
  }
}
