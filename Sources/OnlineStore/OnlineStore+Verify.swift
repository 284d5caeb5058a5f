internal import Storage
public import WriteAheadLog

extension OnlineStore {
  /// Reads every record again, checks every checksum, and that the index answers each key with its
  /// newest record and has nothing else. Returns how many records were read; throws the first damage.
  /// Others may write, purge and clean meanwhile: it is about what was there when it began.
  @discardableResult public func verify() throws(OnlineStoreError) -> Int {
    var report = OnlineVerification()
    report.recordCount = try inspectIndex({ _, _ in false }, &report)
    if let damage = report.damages.first { throw damage.error }
    return report.recordCount
  }

  /// Reads every record, the checkpoint and the followers' positions, and names all damage, where
  /// `verify()` throws the first. The index is checked only when the log is whole: each record must be answered
  /// by itself or a newer one, and each place in the index must be that of one key's record. Others may
  /// write, purge and clean meanwhile, in this process or, where this one only reads, in another.
  ///
  /// Cost: reads the log three times, and each key's newest record once more; writers wait for the copy
  /// of a 64th of the index at a time. Memory: the index once more by 64ths, and the purged keys.
  ///
  /// - Parameters:
  ///   - followers: up to which LSN each has the log's records.
  ///   - isExpired: whether a record of this group and event time counts no more, as `clean` is told; then its
  ///     key may be gone from the index. Asked again later, of a moment later.
  public func inspect(
    followers: [String: LogSequenceNumber] = [:],
    isExpired: (_ groupID: UInt32, _ eventTime: Int64) -> Bool = { _, _ in false }
  ) throws(OnlineStoreError) -> OnlineVerification {
    var report = OnlineVerification()
    let firstLSN = log.firstLSN
    do throws(WriteAheadLogError) {
      let log = try self.log.verify()
      report.note(log)
      report.recordCount = log.recordCount
    } catch { throw .log(error) }
    // What cannot be read is named by now; the records around it cannot be told from each other.
    if report.damageCount == 0 { _ = try inspectIndex(isExpired, &report) }
    for (name, lsn) in followers.sorted(by: { $0.key < $1.key }) {
      if lsn > log.lastLSN {
        report.note(.followerAhead(name: name, lsn: lsn, lastLSN: log.lastLSN))
      } else if lsn < firstLSN - 1 {
        report.note(.followerBehind(name: name, lsn: lsn, firstLSN: firstLSN))
      }
    }
    let path = StoragePath.join(directory, CheckpointFile.name)
    do throws(StorageError) {
      let isThere = try fileSystem.information(path) != nil
      let checkpoint = try CheckpointFile.read(
        path, fileSystem: fileSystem, shardCount: OnlineStore.shardCount
      ) { _ in }
      if isThere, checkpoint?.store != log.store { report.note(.checkpoint(path: path)) }
    } catch { throw .log(.storage(error)) }
    return report
  }
}
