internal import Storage
public import WriteAheadLog

/// Reading beside a writer in another process.
extension OnlineStore {
  /// Takes notice of what the writer did since: its new records (those it knows to be on disk) answer from
  /// now on, what it purged or dropped does not. Returns the LSN up to which that is so. Reads go on
  /// meanwhile. Of a store that was opened for writing nothing is to be learned, and nothing happens.
  ///
  /// Cost: a few small reads, and for each new record what indexing it costs; when the writer has removed
  /// segments, a look at every slot of the index too.
  ///
  /// Throws `.log(.removed)` when the writer has removed records that this reader never saw: it opens the
  /// store anew then.
  @discardableResult public func refresh() throws(OnlineStoreError) -> LogSequenceNumber {
    guard isReadOnly else { return log.readableLSN }
    return try indexedLSN.withLock { indexed throws(OnlineStoreError) in
      let first = log.firstLSN
      do throws(WriteAheadLogError) { try log.refresh() } catch { throw .log(error) }
      // Records whose segments are gone are still mapped, so copies are told from other keys.
      indexed = try replay(from: indexed + 1) - 1
      if log.firstLSN != first { dropRemoved() }
      refreshMemory()
      sections.reclaim()
      return indexed
    }
  }

  /// Lets go of keys whose segments are removed and that have no copy: the writer had dropped them.
  private func dropRemoved() {
    guard let first = log.segmentList.first?.number else { return }
    for shard in shards {
      shard.withLock { state in
        for slot in 0..<state.table.capacity {
          let position = LogPosition(rawValue: state.table.position(at: slot))
          guard position.rawValue > IndexTable.removed, position.segment < first else { continue }
          let section = sections.begin()
          if let record = logMemory.record(at: position), let view = LogEntry.View(record.payload) {
            state.groups[view.groupID, default: .init()].add(-1, view.kind == .tombstone ? -1 : 0)
            state.liveBytes -= view.bytes.byteCount
          }
          sections.end(section)
          shard.remove(slot, from: &state)
        }
      }
    }
  }
}
