internal import Iceberg
internal import Storage

extension FeatureStore {
  /// The moment of a version, at which is judged what has expired; now for the current one.
  func moment(
    of version: TrainingSetRequest.TableVersion?, _ choice: TrainingSetTables.Choice
  ) -> Int64 {
    switch version {
    case nil: return clock.nowMicroseconds()
    case .time(let moment): return moment
    case .snapshot, .reference:
      let snapshot = choice.snapshotID.flatMap { choice.table.metadata.snapshot(id: $0) }
      let (moment, overflow) = (snapshot?.timestampMilliseconds ?? 0)
        .multipliedReportingOverflow(by: 1000)
      return overflow ? .max : moment
    }
  }
}
