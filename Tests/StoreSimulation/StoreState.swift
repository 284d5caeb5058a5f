import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// What an online store must answer, and show those who follow it, after so many operations.
public struct StoreState: Sendable {
  /// A record as followers see it.
  struct Followed: Equatable, Sendable {
    var lsn: LogSequenceNumber
    var entry: LogEntry

    init(lsn: LogSequenceNumber, entry: LogEntry) {
      self.lsn = lsn
      self.entry = entry
      // The store sets it.
      self.entry.writeTime = 0
    }
  }

  static let groupID: UInt32 = 7
  static let keys = (0..<64 as Range<UInt8>).map { [$0] }

  var answers: [UInt8: StoreModel.Answer] = [:]
  var followed: [Followed] = []
  var lastLSN: LogSequenceNumber = 0

  mutating func apply(_ entry: LogEntry, lsn: LogSequenceNumber) {
    StoreModel.apply(entry, lsn: lsn, to: &answers)
    if entry.kind != .purge { followed.append(Followed(lsn: lsn, entry: entry)) }
    lastLSN = lsn
  }

  /// Why a store that answers and shows this is not in this state; nil when it is.
  func difference(_ found: FoundStore) -> String? {
    for key in UInt8(0)..<UInt8(StoreState.keys.count) where found.answers[key] != answers[key] {
      func text(_ answer: StoreModel.Answer?) -> String {
        answer.map { "time \($0.eventTime), LSN \($0.lsn), \($0.row?.count ?? -1) bytes" } ?? "none"
      }
      return "key \(key) answers \(text(found.answers[key])), not \(text(answers[key]))"
    }
    let shown = followed.filter { $0.lsn >= found.firstLSN }
    if found.followed == shown { return nil }
    return "followers see LSNs \(found.followed.map(\.lsn)), not \(shown.map(\.lsn))"
  }
}

/// What a store answers and shows, read in every way that there is.
struct FoundStore {
  var answers: [UInt8: StoreModel.Answer] = [:]
  var followed: [StoreState.Followed] = []
  let firstLSN: LogSequenceNumber
  /// Where two ways to ask gave two answers, or what is counted is not what is there.
  var contradiction: String?

  init(_ store: OnlineStore) throws {
    firstLSN = store.log.firstLSN
    var counts = (live: 0, deleted: 0, bytes: 0)
    let batch = try store.getBatch(groupID: StoreState.groupID, keys: StoreState.keys)
    for (key, found) in zip(StoreState.keys, batch) {
      if try store.get(groupID: StoreState.groupID, key: key) != found {
        contradiction = "key \(key[0]) answers otherwise in a batch"
      }
      guard let found else { continue }
      answers[key[0]] = StoreModel.Answer(
        eventTime: found.entry.eventTime, lsn: found.lsn, row: StoreModel.row(found.entry))
      if found.isTombstone { counts.deleted += 1 } else { counts.live += 1 }
      counts.bytes += found.entry.encoded.count
    }
    let next = try store.follow(from: firstLSN, limitBytes: 1 << 30)
    followed = next.entries.map { .init(lsn: $0.lsn, entry: $0.entry) }
    let statistics = store.statistics
    let group = statistics.groups[StoreState.groupID]
    if group?.liveKeys ?? 0 != counts.live || group?.deletedKeys ?? 0 != counts.deleted {
      contradiction = "\(String(describing: group)) are counted, \(counts) are there"
    }
    if statistics.liveBytes != counts.bytes {
      contradiction = "\(statistics.liveBytes) live bytes are counted, \(counts.bytes) are there"
    }
  }
}

/// What must be true of a store whose process or machine stops at this moment.
public struct StorePromise: Sendable {
  /// It is in one of these states: the last durable one, or one after it. The last of them is the one that
  /// was acknowledged.
  var states: [StoreState]
  /// Or in this one: an operation is under way, and there as a whole or not at all.
  var pending: StoreState?
  /// Followers have everything up to here, so it may be gone from the log.
  var followedLSN: LogSequenceNumber

  /// Why a store breaks the promise; nil when it keeps it.
  func violation(_ found: FoundStore) -> String? {
    if let contradiction = found.contradiction { return contradiction }
    if found.firstLSN > followedLSN + 1 { return "the log begins at LSN \(found.firstLSN)" }
    var difference: String?
    for state in states.reversed() + (pending.map { [$0] } ?? []) {
      guard let found = state.difference(found) else { return nil }
      difference = difference ?? found
    }
    return difference
  }
}
