import OnlineStore
import Storage
import WriteAheadLog

/// A store beside a dictionary that says what it must answer, on a simulated disk.
public final class StoreModel {
  public struct Answer: Equatable, Sendable {
    public var eventTime: Int64
    public var lsn: Int64
    /// nil for a tombstone, and for a record that has expired.
    public var row: [UInt8]?

    public init(eventTime: Int64, lsn: Int64, row: [UInt8]?) {
      (self.eventTime, self.lsn, self.row) = (eventTime, lsn, row)
    }
  }

  public static func row(_ entry: LogEntry) -> [UInt8]? {
    if let expiry = entry.expiresAt, expiry < FixedClock().nowMicroseconds() { return nil }
    return entry.kind == .put ? entry.row : nil
  }

  public static let keys = 24
  public let files: SimulatedFileSystem
  public private(set) var store: OnlineStore
  /// What was acknowledged.
  public private(set) var answers: [UInt8: Answer] = [:]
  /// What an append that failed may have brought all the same.
  public private(set) var unacknowledged: [LogEntry] = []
  public private(set) var recordCount = 0

  public static var options: OnlineStoreOptions {
    var options = OnlineStoreOptions()
    options.log.segmentCapacityBytes = 8192
    options.log.preparesSegments = false
    // Checkpoints come when the test wants them.
    options.checkpointIntervalBytes = 1 << 40
    return options
  }

  public static func open(_ files: SimulatedFileSystem) throws -> OnlineStore {
    try OnlineStore.open(
      directory: "/log", fileSystem: files, clock: FixedClock(), options: options)
  }

  public init(_ files: SimulatedFileSystem) throws {
    self.files = files
    store = try StoreModel.open(files)
  }

  /// Does one thing that `generator` chooses, to the store and to the model.
  public func perform(_ generator: inout some Choices) throws {
    switch generator.below(16) {
    case 0: try store.checkpoint()
    case 1, 2: try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 8192)
    case 3:
      try store.close()
      store = try StoreModel.open(files)
    case 4:
      let purge = LogEntry(.purge, groupID: 7, key: [UInt8(generator.below(StoreModel.keys))])
      unacknowledged = [purge]
      try store.purge(groupID: 7, key: purge.key)
      unacknowledged = []
      recordCount += 1
      StoreModel.apply(purge, lsn: 0, to: &answers)
    default:
      let condition: WriteCondition =
        switch generator.below(4) {
        case 0: .newer
        case 1: .eventTime(generator.oneIn(3) ? nil : Int64(generator.below(50)))
        default: .always
        }
      let entries = (0..<1 + generator.below(4)).map { _ in
        let isPut = !generator.oneIn(5)
        return LogEntry(
          isPut ? .put : .tombstone, groupID: 7, eventTime: Int64(generator.below(50)),
          expiresAt: generator.oneIn(4) ? Int64(generator.below(2_000_000)) : nil,
          key: [UInt8(generator.below(StoreModel.keys))],
          row: isPut
            ? [UInt8](repeating: UInt8(generator.below(256)), count: generator.below(900)) : [])
      }
      unacknowledged = entries
      let outcomes = try store.write(entries, if: condition)
      unacknowledged = []
      for (entry, outcome) in zip(entries, outcomes) { try apply(entry, condition, outcome) }
    }
  }

  /// What a write said must be what the model says.
  private func apply(
    _ entry: LogEntry, _ condition: WriteCondition, _ outcome: WriteOutcome
  ) throws {
    let current = answers[entry.key[0]]?.eventTime
    let holds = StoreModel.holds(condition, entry, current: current)
    switch outcome {
    case .refused(let found):
      if holds || found != current { throw WrongOutcome(entry: entry, outcome: outcome) }
    case .written(let lsn, let isAnswer):
      recordCount += 1
      StoreModel.apply(entry, lsn: lsn, to: &answers)
      // A later entry of the same write may answer by now; it was asked as each was indexed.
      let answers = current.map { entry.eventTime >= $0 } ?? true
      if !holds || isAnswer != answers { throw WrongOutcome(entry: entry, outcome: outcome) }
    }
  }

  public struct WrongOutcome: Error {
    var entry: LogEntry
    var outcome: WriteOutcome
  }

  /// Whether an entry is to be written when this event time answers its key.
  public static func holds(
    _ condition: WriteCondition, _ entry: LogEntry, current: Int64?
  ) -> Bool {
    switch condition {
    case .always: true
    case .newer: current.map { entry.eventTime > $0 } ?? true
    case .eventTime(let expected): expected == current
    }
  }

  /// What keys answer once an entry is written.
  public static func apply(_ entry: LogEntry, lsn: Int64, to answers: inout [UInt8: Answer]) {
    if entry.kind == .purge {
      answers[entry.key[0]] = nil
      return
    }
    let new = Answer(
      eventTime: entry.eventTime, lsn: lsn, row: StoreModel.row(entry))
    if let old = answers[entry.key[0]], (old.eventTime, old.lsn) > (new.eventTime, new.lsn) {
      return
    }
    answers[entry.key[0]] = new
  }

  /// The first broken promise of a store opened from the same disk; nil when all hold.
  public func violation(_ opened: OnlineStore) throws -> String? {
    for key in 0..<UInt8(StoreModel.keys) {
      let found = try opened.get(groupID: 7, key: [key]).map {
        Answer(eventTime: $0.entry.eventTime, lsn: $0.lsn, row: StoreModel.row($0.entry))
      }
      if found == answers[key] { continue }
      // Else it must be the record of the append that was cut short.
      let isPending = unacknowledged.contains { entry in
        if entry.kind == .purge { return entry.key == [key] && found == nil }
        return entry.key == [key] && entry.eventTime == found?.eventTime
          && StoreModel.row(entry) == found?.row
      }
      if !isPending { return "key \(key): \(String(describing: found?.lsn))" }
    }
    let keys = opened.statistics.groups[7].map { $0.liveKeys + $0.deletedKeys } ?? 0
    let purgedCount = unacknowledged.count { $0.kind == .purge }
    if keys < answers.count - purgedCount {
      return "\(keys) keys are counted, \(answers.count) are there"
    }
    try opened.verify()
    return nil
  }
}

public struct FixedClock: WallClock {
  public init() {}

  public func nowMicroseconds() -> Int64 { 1_000_000 }
}
