public import Storage
internal import Synchronization
public import WriteAheadLog

public struct OnlineStoreOptions: Hashable, Sendable {
  public var log = WriteAheadLogOptions()
  /// A checkpoint of the index is written after so many bytes of log, and on closing when at least a
  /// sixteenth of that has come: it bounds what opening has to read.
  public var checkpointIntervalBytes = 256 << 20

  public init() {}
}

/// The newest record of every entity: an index over the log, which holds keys and rows.
///
/// Of a key's records the one with the greatest (event time, LSN) answers; a tombstone takes part like
/// any other. The index is rebuilt from the log on opening.
///
/// Thread-safe. Reads take no lock and make no system call; they never wait for writers. A write costs one
/// commit of the log.
public final class OnlineStore: Sendable {
  public let log: WriteAheadLog
  let clock: any WallClock
  let hasher: KeyHash
  let shards: [IndexShard]
  let directory: String
  let fileSystem: any FileSystem
  let sections: ReadSections
  /// Appends that may not be indexed yet.
  let appending = ReadSections()
  /// The LSN of the last checkpoint; held while one is taken.
  let checkpointing: Lock<LogSequenceNumber>
  let lastWriteTime: Lock<Int64>
  let checkpointer: Checkpointer
  /// Why the index lacks a record that the log has: the one before it could not be read. No checkpoint
  /// may say that it has everything then; opening reads the log again.
  let indexFailure = Lock<OnlineStoreError?>(nil)
  /// One thread cleans at a time.
  let cleaning = Lock(())
  /// Held while records are copied to the log's end, and while a key is purged: a copy that came after
  /// the purge would bring the key back.
  let copying = Lock(())
  /// Held by conditional writes of a key, by its hash: what they saw is so when they write.
  let conditions = (0..<64).map { _ in Lock(()) }
  /// Of a reader: up to where it has indexed the log.
  let indexedLSN = Lock<LogSequenceNumber>(0)
  let counters = OnlineCounters()
  let asynchronous = AsynchronousWriter()
  private let options: OnlineStoreOptions
  var isReadOnly: Bool { options.log.isReadOnly }
  /// The log's segments as memory, and where readers find them.
  private let memory: Lock<LogMemory>
  private let memoryView: Atomic<UInt>

  static let shardCount = 64

  /// Opens the store: loads the last checkpoint of the index and reads the log after it, or all of it
  /// when there is none.
  public static func open(
    directory: String, fileSystem: any FileSystem, clock: any WallClock,
    options: OnlineStoreOptions = .init()
  ) throws(OnlineStoreError) -> OnlineStore {
    for _ in 0..<attempts {
      let loaded = try load(directory, fileSystem)
      if let checkpoint = loaded.checkpoint,
        let store = try open(
          loaded, after: checkpoint.lsn, directory, fileSystem, clock, options)
      {
        return store
      }
      // A reader's checkpoint may have been replaced, and the log before it removed, meanwhile.
      if !options.log.isReadOnly || loaded.checkpoint == nil { break }
    }
    guard let store = try open(empty, after: nil, directory, fileSystem, clock, options) else {
      preconditionFailure("an index without a checkpoint fits every log")
    }
    return store
  }

  /// How often a reader begins again because a writer has cleaned under its eyes.
  private static let attempts = 8

  /// nil when the checkpoint does not fit the log.
  private static func open(
    _ loaded: Loaded, after lsn: LogSequenceNumber?, _ directory: String,
    _ fileSystem: any FileSystem, _ clock: any WallClock, _ options: OnlineStoreOptions
  ) throws(OnlineStoreError) -> OnlineStore? {
    let log: WriteAheadLog
    do throws(WriteAheadLogError) {
      log = try WriteAheadLog.open(
        directory: directory, fileSystem: fileSystem, options: options.log,
        replayingFrom: lsn.map { $0 + 1 })
    } catch {
      if lsn != nil, case .removed = error { return nil }
      throw .log(error)
    }
    if let checkpoint = loaded.checkpoint {
      let first = log.segmentList.first?.number ?? 0
      guard checkpoint.store == log.store, checkpoint.firstSegment >= first else {
        do { try log.close() } catch { throw .log(error) }
        return nil
      }
    }
    let store = OnlineStore(log, loaded, directory, fileSystem, clock, options)
    let next = try store.replay(from: lsn.map { $0 + 1 } ?? log.firstLSN)
    store.indexedLSN.withLock { $0 = next - 1 }
    try store.populateMemory()
    if !options.log.isReadOnly { try store.startCheckpointer() }
    return store
  }

  private init(
    _ log: WriteAheadLog, _ loaded: Loaded, _ directory: String, _ fileSystem: any FileSystem,
    _ clock: any WallClock, _ options: OnlineStoreOptions
  ) {
    self.options = options
    checkpointer = Checkpointer(intervalBytes: options.checkpointIntervalBytes)
    self.log = log
    self.clock = clock
    self.directory = directory
    self.fileSystem = fileSystem
    hasher = KeyHash(seed: loaded.checkpoint?.seed ?? .random(in: .min ... .max))
    sections = ReadSections()
    checkpointing = Lock(loaded.checkpoint?.lsn ?? 0)
    lastWriteTime = Lock(loaded.checkpoint?.lastWriteTime ?? .min)
    shards = loaded.shards
    let memory = log.memory()
    self.memory = Lock(memory)
    memoryView = unsafe Atomic(UInt(bitPattern: memory.view))
  }

  deinit {
    checkpointer.requestStop()
    asynchronous.requestStop()
  }

  private func startCheckpointer() throws(OnlineStoreError) {
    do throws(StorageError) {
      try checkpointer.start { [weak self] in
        guard let self else { return false }
        self.checkpointer.run { () throws(OnlineStoreError) in _ = try self.checkpoint() }
        return true
      }
    } catch { throw .log(.storage(error)) }
  }

  /// Appends the entries as one atomic commit; they can be read when it returns. Every entry gets the
  /// same write time, later than that of every append before; a copy (with an `originalLSN`) keeps its own.
  ///
  /// - Precondition: there is at least one entry.
  public func append(
    _ entries: [LogEntry]
  ) throws(OnlineStoreError) -> ClosedRange<LogSequenceNumber> {
    try commit(WriteBatch(entries)) { _, _ in }
  }

  /// The same for records that are encoded already: the fastest way to write.
  public func append(
    _ batch: consuming WriteBatch
  ) throws(OnlineStoreError) -> ClosedRange<LogSequenceNumber> {
    try commit(batch) { _, _ in }
  }

  /// The same; `outcome` hears of each entry whether it answers for its key now.
  func commit(
    _ batch: consuming WriteBatch, _ outcome: (Int, Bool) -> Void
  ) throws(OnlineStoreError) -> ClosedRange<LogSequenceNumber> {
    let start = ContinuousClock.now
    guard batch.longestKeyBytes <= LogEntry.keyLimitBytes else {
      throw .keyTooLong(sizeBytes: batch.longestKeyBytes)
    }
    let section = appending.begin()
    defer { appending.end(section) }
    batch.stamp(nextWriteTime())
    let (count, sizeBytes) = (batch.count, batch.sizeBytes)
    let receipt: AppendReceipt
    do { receipt = try log.append(batch.records) } catch { throw .log(error) }
    try index(receipt, outcome)
    sections.reclaim()
    checkpointer.noteAppended(bytes: sizeBytes)
    counters.noteCommit(entryCount: count, duration: ContinuousClock.now - start)
    return receipt.lsns
  }

  private func nextWriteTime() -> Int64 {
    let now = clock.nowMicroseconds()
    return lastWriteTime.withLock { last in
      // The wall clock may stand still or go back; the order of writes must not.
      last = last == .min ? now : max(now, last &+ 1)
      return last
    }
  }

  /// The acknowledged entries from `lsn` on, in order, until about `limitBytes` of them are gathered:
  /// at least one if there is one. `next` is where to go on.
  public func follow(
    from lsn: LogSequenceNumber, limitBytes: Int
  ) throws(OnlineStoreError) -> (entries: [StoredEntry], next: LogSequenceNumber) {
    var entries: [StoredEntry] = []
    var gathered = 0
    var failure: OnlineStoreError?
    let next: LogSequenceNumber
    do {
      next = try log.replay(from: lsn) { lsn, position, payload in
        guard let entry = LogEntry(decoding: payload) else {
          failure = .malformedEntry(position)
          return false
        }
        // Followers had the original; of a purge they know nothing.
        if entry.originalLSN == nil, entry.kind != .purge {
          entries.append(StoredEntry(lsn: lsn, entry: entry))
        }
        gathered += payload.byteCount
        return gathered < limitBytes
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return (entries, next)
  }

  /// Closes the log, after a checkpoint if that makes the next opening faster. Closing twice does
  /// nothing; reads go on.
  public func close() throws(OnlineStoreError) {
    asynchronous.stop()
    checkpointer.stop()
    if !options.log.isReadOnly,
      checkpointer.pendingBytes >= options.checkpointIntervalBytes / 16
    {
      checkpointer.run { () throws(OnlineStoreError) in _ = try checkpoint() }
    }
    do { try log.close() } catch { throw .log(error) }
  }

  // MARK: The index

  func shard(_ tag: UInt64) -> IndexShard {
    // The high bits choose the slot in the shard.
    shards[Int(truncatingIfNeeded: tag & UInt64(OnlineStore.shardCount - 1))]
  }

  /// The log as memory. Only inside a read section, and valid until its end.
  @inline(__always) var logMemory: LogMemory.View {
    let address = memoryView.load(ordering: .acquiring)
    guard let pointer = unsafe UnsafePointer<LogMemory.View>(bitPattern: address) else {
      preconditionFailure("the log's memory is there from the beginning")
    }
    return unsafe pointer.pointee
  }

  /// Makes the position's segment readable as memory.
  func cover(_ position: LogPosition) {
    memory.withLock { memory in
      if unsafe memory.view.pointee.covers(position) { return }
      refresh(&memory)
      // The segment before is complete now, and what was just written is in the page cache.
      memory.populateResidentPages(last: 1)
    }
  }

  /// Spares gets after opening the page faults, while they go on.
  private func populateMemory() throws(OnlineStoreError) {
    let memory = self.memory.withLock { $0 }
    guard memory.isMapped else { return }
    do throws(StorageError) {
      _ = try BackgroundThread(name: "fstore-map") { memory.populateResidentPages() }
    } catch { throw .log(.storage(error)) }
  }

  /// Lets go of the memory of segments that were removed.
  func refreshMemory() { memory.withLock { refresh(&$0) } }

  private func refresh(_ memory: inout LogMemory) {
    let old = memory
    memory = log.memory()
    unsafe memoryView.store(UInt(bitPattern: memory.view), ordering: .sequentiallyConsistent)
    sections.retire(old)
  }
}
