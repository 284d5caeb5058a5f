internal import Storage
internal import Synchronization
internal import WriteAheadLog

/// Part of the index: a table that grows, and what is counted of its keys.
final class IndexShard: Sendable {
  struct State {
    var table: IndexTable
    /// Keys.
    var count = 0
    /// Slots that do not end a search: keys, and removed ones.
    var usedCount = 0
    var groups: [UInt32: OnlineStore.GroupStatistics] = [:]
    /// What the keys' newest records take in the log, about.
    var liveBytes = 0
  }

  private let state: Lock<State>
  /// The table's view, for readers inside a read section.
  private let current: Atomic<UInt>

  /// Fuller than four fifths, searches get long; after growing by a fifth it is two thirds full, so a
  /// key takes at most 24 bytes.
  private static let initialCapacity = 64

  init() {
    let table = IndexTable(capacity: IndexShard.initialCapacity)
    state = Lock(State(table: table))
    current = unsafe Atomic(UInt(bitPattern: table.view))
  }

  /// The shard as a checkpoint has it.
  init(_ content: CheckpointFile.Shard) {
    let count = content.entries.count / 2
    let table = IndexTable(
      capacity: max(count * 3 / 2 + 1, IndexShard.initialCapacity))
    for index in stride(from: 0, to: count * 2, by: 2) {
      let tag = content.entries[index]
      table.fill(table.vacancy(for: tag), tag, content.entries[index + 1])
    }
    state = Lock(
      State(
        table: table, count: count, usedCount: count, groups: content.groups,
        liveBytes: content.liveBytes))
    current = unsafe Atomic(UInt(bitPattern: table.view))
  }

  /// The table as it is now. Only inside a read section, and valid until its end.
  @inline(__always) var view: IndexTable.View {
    let address = current.load(ordering: .acquiring)
    guard let pointer = unsafe UnsafePointer<IndexTable.View>(bitPattern: address) else {
      preconditionFailure("a shard has a table from its creation")
    }
    return unsafe pointer.pointee
  }

  func withLock<Result, E: Error>(
    _ body: (inout State) throws(E) -> Result
  ) throws(E) -> Result {
    try state.withLock(body)
  }

  /// Adds a key that a search did not find. With the lock held.
  func insert(
    _ tag: UInt64, _ position: LogPosition, into state: inout State, _ sections: ReadSections
  ) {
    if (state.usedCount + 1) * 5 > state.table.capacity * 4 { grow(&state, sections) }
    let slot = state.table.vacancy(for: tag)
    if state.table.position(at: slot) == IndexTable.empty { state.usedCount += 1 }
    state.table.fill(slot, tag, position.rawValue)
    state.count += 1
  }

  func remove(_ slot: Int, from state: inout State) {
    state.table.replace(slot, with: IndexTable.removed)
    state.count -= 1
  }

  /// Makes room for `count` keys in all, in a table of its own.
  func reserve(_ count: Int, in state: inout State, _ sections: ReadSections) {
    let capacity = count * 5 / 4 + IndexShard.initialCapacity
    if capacity > state.table.capacity { move(&state, capacity: capacity, sections) }
  }

  private func grow(_ state: inout State, _ sections: ReadSections) {
    let capacity = max(state.count * 3 / 2 + 1, IndexShard.initialCapacity)
    move(&state, capacity: capacity, sections)
  }

  private func move(_ state: inout State, capacity: Int, _ sections: ReadSections) {
    let old = state.table
    let table = IndexTable(capacity: capacity)
    for slot in 0..<old.capacity {
      let position = old.position(at: slot)
      if position <= IndexTable.removed { continue }
      let tag = old.tag(at: slot)
      table.fill(table.vacancy(for: tag), tag, position)
    }
    state.table = table
    state.usedCount = state.count
    unsafe current.store(UInt(bitPattern: table.view), ordering: .sequentiallyConsistent)
    sections.retire(old)
  }
}
