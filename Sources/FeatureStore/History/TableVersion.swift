internal import Iceberg
internal import Storage

/// Which version of an offline table is read.
public enum TableVersion: Hashable, Sendable {
  case current
  /// What was current at a moment, in microseconds since 1970-01-01T00:00:00Z.
  case time(Int64)
  case snapshot(Int64)
  /// A tag or the head of a branch.
  case reference(String)

  var scanned: TableScan.Version {
    switch self {
    case .current: .current
    // A snapshot of the same millisecond was there at its end.
    case .time(let microseconds):
      .asOf(milliseconds: microseconds / 1000 - (microseconds % 1000 < 0 ? 1 : 0))
    case .snapshot(let id): .snapshot(id)
    case .reference(let name): .reference(name)
    }
  }
}

extension FeatureStore {
  /// A version of a group's table from text: the name of a tag or branch, the id of a snapshot, or an ISO 8601
  /// time, in this order.
  public func tableVersion(
    _ text: String, of groupName: String
  ) throws(FeatureStoreError) -> TableVersion {
    let metadata = try tables.load(try group(groupName)).metadata
    if metadata.references[text] != nil { return .reference(text) }
    if let id = Int64(text) {
      guard metadata.snapshot(id: id) != nil else {
        throw FeatureStoreError(
          .notFound,
          "the offline table of '\(groupName)' has no snapshot \(id), nor a tag or branch of that name "
            + "('fstore snapshots \(groupName)' and 'fstore refs \(groupName)' list them)")
      }
      return .snapshot(id)
    }
    do throws(FeatureStoreError) {
      return .time(try microseconds(text, name: "the moment"))
    } catch {
      throw FeatureStoreError(
        .notFound, "'\(text)' is no time, snapshot, tag or branch of '\(groupName)'", cause: error)
    }
  }

  /// A moment from ISO 8601 text, in microseconds since 1970-01-01T00:00:00Z. Text without a zone is UTC.
  public func moment(_ text: String) throws(FeatureStoreError) -> Int64 {
    try microseconds(text, name: "the moment")
  }

  /// The moment of a version, at which is judged what has expired; now for the current one.
  func moment(
    of version: TableVersion, _ table: Table
  ) throws(IcebergError) -> Int64 {
    switch version {
    case .current: return clock.nowMicroseconds()
    case .time(let moment): return moment
    case .snapshot, .reference:
      var scan = table.newScan()
      scan.version = version.scanned
      let (moment, overflow) = (try scan.snapshot()?.timestampMilliseconds ?? 0)
        .multipliedReportingOverflow(by: 1000)
      return overflow ? .max : moment
    }
  }
}
