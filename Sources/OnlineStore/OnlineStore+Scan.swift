public import WriteAheadLog

extension OnlineStore {
  /// Shows in place what `follow` gives and can answer for a key: the acknowledged puts and tombstones
  /// from `lsn` on, in order. Returns where to go on. Costs a read of that part of the log.
  public func forEachRecord(
    from lsn: LogSequenceNumber, _ body: (RecordView) -> Void
  ) throws(OnlineStoreError) -> LogSequenceNumber {
    var failure: OnlineStoreError?
    let next: LogSequenceNumber
    do {
      next = try log.replay(from: lsn) { lsn, position, payload in
        guard let entry = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return false
        }
        if entry.originalLSN == nil, entry.kind.isAnswer {
          body(RecordView(lsn: lsn, entry: entry))
        }
        return true
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return next
  }
}
