public import FeatureModel

/// How the online store compares with the offline tables and what the log has not flushed: `verifyParity`.
public struct ParityReport: Sendable {
  /// One group's keys.
  public struct Group: Sendable {
    public var name: String
    /// Keys that offline has, those that were purged later not among them.
    public var keyCount = 0
    /// Keys that answer online with the offline table's newest record and its values.
    public var equalCount = 0
    /// Keys that the online store may have dropped, for their newest record has expired.
    public var expiredCount = 0
    /// Keys of which the log says that they were purged, so that offline alone has what was before.
    public var purgedCount = 0
    /// Keys that were written while they were compared.
    public var changedCount = 0
    /// Keys that differ.
    public var differingCount = 0
  }

  /// One difference; a key may have one for each of its features.
  public struct Difference: Hashable, Sendable {
    public enum Newer: String, Hashable, Sendable {
      case online
      case offline
      /// It is the same record, by event time and LSN.
      case neither
    }

    public var group: String
    /// The values of the record identifiers.
    public var key: [FeatureValue]
    /// nil where the records differ, and no value does.
    public var feature: String?
    public var offline: FeatureValue
    public var online: FeatureValue
    public var newer: Newer
    /// Which is newer and why, or what is wrong.
    public var reason: String
  }

  public var groups: [Group] = []
  /// The first differences, at most `listedDifferenceLimit`.
  public private(set) var differences: [Difference] = []
  public static let listedDifferenceLimit = 1000

  public var differingCount: Int { groups.reduce(0) { $0 + $1.differingCount } }

  mutating func note(_ difference: Difference) {
    if differences.count < Self.listedDifferenceLimit { differences.append(difference) }
  }
}

extension FeatureStore {
  /// Replays each group's offline table, and what the log has not flushed, to now, and compares every key and
  /// value with the online store, in both directions. None may differ.
  ///
  /// Keys may be missing online that have expired or that the log knows to be purged; what is written meanwhile is
  /// left out. Others may write, flush and clean. A store that was opened for reading is refreshed.
  ///
  /// Cost: two passes over the tables and two over the log. Each key takes about 70 bytes of memory beside its own;
  /// when they take more than `memoryBytes`, all is read twice for each part of them.
  ///
  /// - Parameters:
  ///   - names: the groups; nil for all that are online and offline.
  ///   - progress: bytes of data files read, of all that are to be read.
  public func verifyParity(
    _ names: [String]? = nil, memoryBytes: Int = 512 << 20,
    progress: (_ bytesDone: Int64, _ bytesTotal: Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> ParityReport {
    var report = ParityReport()
    let names = names ?? groups.filter { $0.isOnline && $0.isOffline }.map(\.name)
    for name in names {
      try requireOnline(try group(name))
      do {
        var work = try ParityCheck(self, name, memoryBytes: memoryBytes)
        try work.run(&report, progress)
      } catch { throw FeatureStoreError(error) }
    }
    return report
  }
}
