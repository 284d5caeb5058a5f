public import WriteAheadLog

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
    /// The index has a place for a key at which there is no record of it.
    case indexNames(LogPosition, reason: String)
    /// The index has two places for the key of this record.
    case indexHasTwice(LogPosition)
    /// The index answers a key that was purged, with this record.
    case purgedAnswers(LogSequenceNumber)
    /// Parts of the index count something else than they have; the sums are those of these parts.
    case miscounted(counted: IndexCounts, found: IndexCounts)
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
      case .indexNames(let position, let reason):
        "the index names byte \(position.byteOffset) of segment \(position.segment): \(reason)"
      case .indexHasTwice(let position):
        "the index has the key of the record at byte \(position.byteOffset) of segment "
          + "\(position.segment) twice"
      case .purgedAnswers(let lsn):
        "a key that was purged answers with the record with LSN \(lsn)"
      case .miscounted(let counted, let found):
        "parts of the index count \(counted), and have \(found)"
      case .followerAhead(let name, let lsn, let lastLSN):
        "'\(name)' has records up to LSN \(lsn), the log ends at \(lastLSN)"
      case .followerBehind(let name, let lsn, let firstLSN):
        "'\(name)' has records up to LSN \(lsn), the log begins only at \(firstLSN)"
      case .checkpoint(let path): "'\(path)' is damaged: it is not read on opening"
      }
    }

    /// Whether the index, or the checkpoint that it was made of, is wrong while the log is whole.
    var isOfIndex: Bool {
      switch self {
      case .indexLacks, .unreadableAnswer, .indexNames, .indexHasTwice, .purgedAnswers, .miscounted:
        true
      case .log, .malformedEntry, .followerAhead, .followerBehind, .checkpoint: false
      }
    }

    var error: OnlineStoreError {
      switch self {
      case .log(let damage):
        .log(
          .corrupt(path: damage.path, byteOffset: damage.byteOffset, reason: damage.reason))
      case .malformedEntry(let position): .malformedEntry(position)
      case .indexLacks(let lsn): .indexDisagrees(lsn)
      case .unreadableAnswer(_, let error): error
      default: .indexDamaged(reason: description)
      }
    }
  }

  /// What the index counts.
  public struct IndexCounts: Hashable, Sendable, CustomStringConvertible {
    public internal(set) var keys = 0
    /// Groups without keys are left out.
    public internal(set) var groups: [UInt32: OnlineStore.GroupStatistics] = [:]
    public internal(set) var liveBytes = 0

    public var description: String {
      let parts = groups.sorted { $0.key < $1.key }.map { id, group in
        ", \(group.liveKeys) live and \(group.deletedKeys) deleted of group \(id)"
      }
      return "\(keys) keys in \(liveBytes) bytes" + parts.joined()
    }

    mutating func add(_ other: IndexCounts) {
      keys += other.keys
      liveBytes += other.liveBytes
      for (id, group) in other.groups { groups[id, default: .init()].add(group) }
    }
  }

  public var recordCount = 0
  /// All damages, also those that are not listed.
  public private(set) var damageCount = 0
  /// The first damages, at most `listedDamageLimit`.
  public private(set) var damages: [Damage] = []
  public static let listedDamageLimit = LogVerification.listedDamageLimit

  mutating func note(_ damage: Damage) {
    damageCount += 1
    if damages.count < Self.listedDamageLimit { damages.append(damage) }
  }

  mutating func note(_ log: LogVerification) {
    for damage in log.damages { note(.log(damage)) }
    damageCount += log.damageCount - log.damages.count
  }
}
