import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// A store in use, and what it promised, as far as a tag.
public final class StoreRun {
  public enum Operation: CaseIterable, Sendable {
    case putNew, putNewer, putOlder, batch, delete, purge, conditional, checkpoint, clean, reopen
    case kill
  }

  /// What was promised at each tag, from 1 on.
  private(set) var promises: [StorePromise] = []
  private let files: SimulatedFileSystem
  private let options: OnlineStoreOptions
  private(set) var store: OnlineStore?
  /// The states that the store may fall back to, and the one it is in.
  private var states = [StoreState()]
  private var followedLSN: LogSequenceNumber = 0
  private var number: Int64 = 100

  /// Most of what happens happens to this key.
  private static let key: UInt8 = 1

  public struct BrokenPromise: Error, CustomStringConvertible {
    public var description: String
  }

  public init(_ files: SimulatedFileSystem, _ options: OnlineStoreOptions) throws {
    self.files = files
    self.options = options
    store = try open()
    note()
    try fill()
  }

  private func open() throws -> OnlineStore {
    try OnlineStore.open(
      directory: "/log", fileSystem: files, clock: FixedClock(), options: options)
  }

  /// A few segments, the first of them with records that are still the newest, so that there is something
  /// to remove and something to copy.
  private func fill() throws {
    try write([
      entry(Self.key, at: 50, size: 20), entry(2, at: 50, size: 700),
      LogEntry(.tombstone, groupID: StoreState.groupID, eventTime: 50, key: [3]),
      entry(4, at: 50, size: 30, expiresAt: 1), entry(5, at: 50, size: 30, expiresAt: 2_000_000),
      entry(6, at: 60, size: 40),
    ])
    try purge(6)
    for round in 1...4 as ClosedRange<Int64> {
      try write((7...9).map { entry($0, at: round, size: 1000) })
    }
    followedLSN = states[states.count - 1].lastLSN
    note()
  }

  private func entry(
    _ key: UInt8, at eventTime: Int64, size: Int, expiresAt: Int64? = nil
  ) -> LogEntry {
    LogEntry(
      .put, groupID: StoreState.groupID, eventTime: eventTime, expiresAt: expiresAt, key: [key],
      row: [UInt8](repeating: UInt8(truncatingIfNeeded: eventTime), count: size))
  }

  public func perform(_ operation: Operation) throws {
    number += 1
    let key = Self.key
    switch operation {
    case .putNew: try write([entry(UInt8(10 + number % 20), at: 1, size: 40)])
    case .putNewer: try write([entry(key, at: number, size: 200)])
    case .putOlder: try write([entry(key, at: number - 99, size: 30)])
    case .batch:
      try write([
        entry(2, at: number, size: 900), entry(key, at: number, size: 10, expiresAt: 3),
        entry(2, at: number, size: 300), entry(UInt8(40 + number % 20), at: 1, size: 900),
      ])
    case .delete:
      try write([
        LogEntry(.tombstone, groupID: StoreState.groupID, eventTime: number, key: [key])
      ])
    case .purge: try purge(key)
    case .conditional:
      try write(
        [entry(2, at: 1, size: 10), entry(key, at: number, size: 50), entry(key, at: 2, size: 9)],
        if: .newer)
    case .checkpoint:
      try store?.checkpoint()
      // With it come the followers.
      followedLSN = states[states.count - 1].lastLSN
      try becomeDurable()
    case .clean:
      try store?.clean(upTo: followedLSN, minimumLogBytes: 8192)
      try check()
    case .reopen:
      try store?.close()
      store = try open()
      try becomeDurable()
    case .kill:
      store = nil
      store = try open()
      // What was read back was made durable first.
      try becomeDurable()
    }
  }

  private func write(_ entries: [LogEntry], if condition: WriteCondition = .always) throws {
    guard let store else { return }
    var state = states[states.count - 1]
    var expected: [WriteOutcome] = []
    var lsn = store.log.lastLSN
    for entry in entries {
      let current = state.answers[entry.key[0]]?.eventTime
      guard StoreModel.holds(condition, entry, current: current) else {
        expected.append(.refused(currentEventTime: current))
        continue
      }
      lsn += 1
      expected.append(.written(lsn, isAnswer: current.map { entry.eventTime >= $0 } ?? true))
      state.apply(entry, lsn: lsn)
    }
    note(pending: state)
    let outcomes = try store.write(entries, if: condition)
    if outcomes != expected {
      throw BrokenPromise(description: "\(outcomes) came of a write, not \(expected)")
    }
    try acknowledge(state)
  }

  private func purge(_ key: UInt8) throws {
    guard let store else { return }
    var state = states[states.count - 1]
    let purge = LogEntry(.purge, groupID: StoreState.groupID, key: [key])
    state.apply(purge, lsn: store.log.lastLSN + 1)
    note(pending: state)
    try store.purge(groupID: StoreState.groupID, key: [key])
    try acknowledge(state)
  }

  private func acknowledge(_ state: StoreState) throws {
    guard let store else { return }
    states.append(state)
    let durableLSN = options.log.durability == .synchronous ? .max : store.log.durableLSN
    while states.count > 1, states[1].lastLSN <= durableLSN { states.removeFirst() }
    note()
    try check()
  }

  private func becomeDurable() throws {
    states.removeFirst(states.count - 1)
    note()
    try check()
  }

  private func note(pending: StoreState? = nil) {
    promises.append(StorePromise(states: states, pending: pending, followedLSN: followedLSN))
    files.tag(promises.count)
  }

  /// Nothing but a crash may take it back to an earlier state.
  private func check() throws {
    guard let store else { return }
    let promise = StorePromise(states: [states[states.count - 1]], followedLSN: followedLSN)
    if let broken = promise.violation(try FoundStore(store)) {
      throw BrokenPromise(description: "while it runs: \(broken)")
    }
  }
}
