internal import Storage
public import WriteAheadLog

extension OnlineStore {
  /// Reads every record again, checks every checksum, and that the index answers each key with its
  /// newest record. Returns how many records were read; throws on the first damage. To be called while
  /// nobody appends: a record that its writer has not indexed yet looks like a missing one.
  @discardableResult public func verify() throws(OnlineStoreError) -> Int {
    var count = 0
    var failure: OnlineStoreError?
    let purges = try purges()
    do {
      try log.replay(from: log.firstLSN) { lsn, position, payload in
        count += 1
        switch damage(lsn, position, payload, purges) {
        case nil: return true
        case .malformedEntry(let position): failure = .malformedEntry(position)
        case .unreadableAnswer(_, let error): failure = error
        default: failure = .indexDisagrees(lsn)
        }
        return false
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return count
  }

  private struct PurgedKey: Hashable {
    var groupID: UInt32
    var key: [UInt8]
  }

  /// Up to which LSN the records of purged keys do not count.
  private func purges() throws(OnlineStoreError) -> [PurgedKey: LogSequenceNumber] {
    var purges: [PurgedKey: LogSequenceNumber] = [:]
    do {
      try log.replay(from: log.firstLSN) { lsn, _, payload in
        if let entry = LogEntry.View(payload), entry.kind == .purge {
          purges[PurgedKey(groupID: entry.groupID, key: entry.key.copy())] = lsn
        }
        return true
      }
    } catch { throw .log(error) }
    return purges
  }

  private func damage(
    _ lsn: LogSequenceNumber, _ position: LogPosition, _ payload: RawSpan,
    _ purges: [PurgedKey: LogSequenceNumber], isExpired: (UInt32, Int64) -> Bool = { _, _ in false }
  ) -> OnlineVerification.Damage? {
    guard let entry = LogEntry.View(payload) else { return .malformedEntry(position) }
    guard entry.kind.isAnswer else { return nil }
    let ownLSN = entry.originalLSN ?? lsn
    if !purges.isEmpty {
      let key = PurgedKey(groupID: entry.groupID, key: entry.key.copy())
      if let purge = purges[key], ownLSN < purge { return nil }
    }
    let own = (entry.eventTime, ownLSN)
    do throws(OnlineStoreError) {
      let isAnswered = try withRecord(groupID: entry.groupID, key: entry.key) { answer in
        (answer.eventTime, answer.lsn) >= own
      }
      // Cleaning drops such keys, and their records stay until their segments go.
      if isAnswered == nil, isExpired(entry.groupID, entry.eventTime) { return nil }
      return isAnswered == true ? nil : .indexLacks(lsn)
    } catch { return .unreadableAnswer(lsn, error) }
  }
}

/// What a check of the whole store found.
public struct OnlineVerification: Sendable {
  public enum Damage: Sendable, CustomStringConvertible {
    /// Bytes of the log that are not what was written.
    case log(LogDamage)
    /// A record that is whole, but none that this version knows.
    case malformedEntry(LogPosition)
    /// The index answers its key with an older record, or not at all.
    case indexLacks(LogSequenceNumber)
    /// The index answers its key with a record that cannot be read.
    case unreadableAnswer(LogSequenceNumber, OnlineStoreError)
    /// A follower claims to have what the log never gave.
    case followerAhead(name: String, lsn: LogSequenceNumber, lastLSN: LogSequenceNumber)
    /// A follower lacks records that the log no longer has.
    case followerBehind(name: String, lsn: LogSequenceNumber, firstLSN: LogSequenceNumber)
    /// The checkpoint of the index is not what was written; opening reads the whole log instead.
    case checkpoint(path: String)

    public var description: String {
      switch self {
      case .log(let damage): damage.description
      case .malformedEntry(let position): OnlineStoreError.malformedEntry(position).description
      case .indexLacks(let lsn): OnlineStoreError.indexDisagrees(lsn).description
      case .unreadableAnswer(let lsn, let error):
        "the answer for the key of the record with LSN \(lsn) cannot be read: \(error)"
      case .followerAhead(let name, let lsn, let lastLSN):
        "'\(name)' has records up to LSN \(lsn), the log ends at \(lastLSN)"
      case .followerBehind(let name, let lsn, let firstLSN):
        "'\(name)' has records up to LSN \(lsn), the log begins only at \(firstLSN)"
      case .checkpoint(let path): "'\(path)' is damaged: it is not read on opening"
      }
    }
  }

  public var recordCount = 0
  public var damages: [Damage] = []
}

extension OnlineStore {
  /// Reads every record, the checkpoint and the followers' positions, and lists all damage, where
  /// `verify()` stops at the first. The index is checked only when the log is whole. To be called while
  /// nobody appends or cleans.
  ///
  /// - Parameters:
  ///   - followers: up to which LSN each has the log's records.
  ///   - isExpired: whether a record of this group and event time counts no more, as `clean` is told; then its
  ///     key may be gone from the index.
  public func inspect(
    followers: [String: LogSequenceNumber] = [:],
    isExpired: (_ groupID: UInt32, _ eventTime: Int64) -> Bool = { _, _ in false }
  ) throws(OnlineStoreError) -> OnlineVerification {
    var report = OnlineVerification()
    do throws(WriteAheadLogError) {
      let log = try self.log.verify()
      report.damages = log.damages.map { .log($0) }
      report.recordCount = log.recordCount
    } catch { throw .log(error) }
    // What cannot be read is named by now; the records around it cannot be told from each other.
    if report.damages.isEmpty {
      let purges = try purges()
      do {
        try log.replay(from: log.firstLSN) { lsn, position, payload in
          if let damage = damage(lsn, position, payload, purges, isExpired: isExpired) {
            report.damages.append(damage)
          }
          return true
        }
      } catch { throw .log(error) }
    }
    for (name, lsn) in followers.sorted(by: { $0.key < $1.key }) {
      if lsn > log.lastLSN {
        report.damages.append(.followerAhead(name: name, lsn: lsn, lastLSN: log.lastLSN))
      } else if lsn < log.firstLSN - 1 {
        report.damages.append(.followerBehind(name: name, lsn: lsn, firstLSN: log.firstLSN))
      }
    }
    let path = StoragePath.join(directory, CheckpointFile.name)
    do throws(StorageError) {
      let isThere = try fileSystem.information(path) != nil
      let checkpoint = try CheckpointFile.read(
        path, fileSystem: fileSystem, shardCount: OnlineStore.shardCount
      ) { _ in }
      if isThere, checkpoint?.store != log.store { report.damages.append(.checkpoint(path: path)) }
    } catch { throw .log(.storage(error)) }
    return report
  }
}
