internal import Iceberg
internal import Storage

extension FeatureStore {
  /// Appends the records of a file to a group's offline table without passing them through the log: history,
  /// which training sets need and the online store does not. `materialize` brings the newest ones online.
  ///
  /// All of the file or nothing, in one commit, and once: the commit notes the file (name, size and
  /// checksum) in the table, so that a second call, after a kill say, finds it done and writes nothing.
  /// The rows get LSNs of their own, taken out of the log's order durably before they are written, and now
  /// as their write time. With `onError: .stop` a row that does not fit ends it with nothing written.
  ///
  /// Cost: the file is read twice, once for its checksum; memory for what Parquet writers buffer.
  ///
  /// - Parameters:
  ///   - repeats: append the file although the table has it already.
  ///   - progress: what it counts as accepted is in the table only at the end.
  public func backfill(
    _ groupName: String, file path: String, options: IngestOptions = IngestOptions(),
    repeats: Bool = false, progress: (IngestProgress) -> Void = { _ in }
  ) throws(FeatureStoreError) -> IngestReport {
    let log = try requireWriter("backfill")
    let group = try group(groupName)
    let table = try tables.load(group)
    do {
      let source = try IngestSource(self, group, path: path, options)
      let note = try BackfillNote(path: path, source.file)
      try OfflinePosition.check(table.metadata, storeID: storeID, group: group)
      if let lsns = note.lsns(in: table.metadata), !repeats {
        var report = IngestReport()
        report.wasDoneBefore = true
        (report.firstLSN, report.lastLSN) = (lsns.lowerBound, lsns.upperBound)
        return report
      }
      var work = try Backfill(
        store: self, group: group, table: table, log: log, source: source, options: options)
      return try work.run(note, repeats: repeats, progress)
    } catch { throw FeatureStoreError(error) }
  }
}
