internal import Storage
internal import WriteAheadLog

extension OnlineStore {
  /// Reads every record again, checks every checksum, and that the index answers each key with its
  /// newest record. Returns how many records were read; throws on the first damage. To be called while
  /// nobody appends: a record that its writer has not indexed yet looks like a missing one.
  @discardableResult public func verify() throws(OnlineStoreError) -> Int {
    var count = 0
    var failure: OnlineStoreError?
    do {
      try log.replay(from: log.firstLSN) { lsn, position, payload in
        count += 1
        guard let entry = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return false
        }
        if entry.kind == .control { return true }
        let own = (entry.eventTime, entry.originalLSN ?? lsn)
        do throws(OnlineStoreError) {
          let isAnswered = try withRecord(groupID: entry.groupID, key: entry.key) { answer in
            (answer.eventTime, answer.lsn) >= own
          }
          if isAnswered == true { return true }
          failure = .indexDisagrees(lsn)
        } catch { failure = error }
        return false
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return count
  }
}
