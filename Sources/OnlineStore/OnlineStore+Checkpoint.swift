internal import Storage
public import WriteAheadLog

extension OnlineStore {
  /// Writes the index to disk, so that the next opening reads only the log after this moment. Readers
  /// and writers go on meanwhile; a shard's writers wait while it is copied, milliseconds for millions of
  /// keys. Cost: 16 bytes a key written, two syncs. One runs at a time.
  ///
  /// Returns the LSN up to which the index on disk has every record. On a full disk it takes the space
  /// that is kept for maintenance. Throws when a record that was written could not be indexed, because the
  /// one that it replaces cannot be read: the log has it, and gives it to the index when the store is opened
  /// again.
  @discardableResult
  public func checkpoint() throws(OnlineStoreError) -> LogSequenceNumber {
    let start = MonotonicClock.nowNanoseconds()
    do {
      let lsn = try withReserve { () throws(OnlineStoreError) in try writeCheckpoint() }
      counters.noteCheckpoint(since: start, at: clock.nowMicroseconds())
      return lsn
    } catch {
      counters.noteFailedCheckpoint()
      throw error
    }
  }

  /// Runs maintenance; when the disk is full, once more without the reserve, which is kept again
  /// afterwards if there is room.
  func withReserve<Result>(
    _ body: () throws(OnlineStoreError) -> Result
  ) throws(OnlineStoreError) -> Result {
    do { return try body() } catch {
      guard error.isFullDisk, log.releaseReserve() else { throw error }
      defer { log.restoreReserve() }
      return try body()
    }
  }

  private func writeCheckpoint() throws(OnlineStoreError) -> LogSequenceNumber {
    try checkpointing.withLock { last throws(OnlineStoreError) in
      let lsn = log.readableLSN
      // Whoever had appended by then may not have indexed it yet.
      appending.waitForThoseInside()
      if let failure = indexFailure.withLock({ $0 }) { throw failure }
      var firstSegment = UInt32.max
      var shards: [CheckpointFile.Shard] = []
      for shard in self.shards {
        let content = shard.withLock { CheckpointFile.Shard($0) }
        for index in stride(from: 1, to: content.entries.count, by: 2) {
          firstSegment = min(
            firstSegment, LogPosition(rawValue: content.entries[index]).segment)
        }
        shards.append(content)
      }
      let header = CheckpointFile(
        store: log.store, lsn: lsn, seed: hasher.seed, lastWriteTime: lastWriteTime.withLock { $0 },
        firstSegment: firstSegment)
      do throws(WriteAheadLogError) {
        // What the index names must be where it is whatever happens next.
        try log.proveDurable()
      } catch { throw .log(error) }
      do throws(StorageError) {
        try fileSystem.publish(
          StoragePath.join(directory, CheckpointFile.name), replacing: true
        ) { file throws(StorageError) in try header.write(shards, to: file) }
      } catch { throw .log(.storage(error)) }
      last = lsn
      return lsn
    }
  }

  /// What an opening found on disk.
  struct Loaded {
    var checkpoint: CheckpointFile?
    var shards: [IndexShard]
  }

  /// The index on disk, or an empty one.
  static func load(
    _ directory: String, _ fileSystem: any FileSystem
  ) throws(OnlineStoreError) -> Loaded {
    var shards: [IndexShard] = []
    let checkpoint: CheckpointFile?
    do throws(StorageError) {
      checkpoint = try CheckpointFile.read(
        StoragePath.join(directory, CheckpointFile.name), fileSystem: fileSystem,
        shardCount: shardCount
      ) { shards.append(IndexShard($0)) }
    } catch { throw .log(.storage(error)) }
    guard let checkpoint else { return empty }
    return Loaded(checkpoint: checkpoint, shards: shards)
  }

  static var empty: Loaded {
    Loaded(checkpoint: nil, shards: (0..<shardCount).map { _ in IndexShard() })
  }
}

extension CheckpointFile.Shard {
  init(_ state: borrowing IndexShard.State) {
    groups = state.groups
    liveBytes = state.liveBytes
    entries.reserveCapacity(state.count * 2)
    for slot in 0..<state.table.capacity {
      let position = state.table.position(at: slot)
      guard position > IndexTable.removed else { continue }
      entries.append(state.table.tag(at: slot))
      entries.append(position)
    }
  }
}
