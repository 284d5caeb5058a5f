internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

// What bounds the store's disk: the limit of the log, and the reserve that maintenance takes.
extension FeatureStore {
  /// Sets the limit by what live records take now.
  func adjustLogLimit() {
    guard access == .readWrite, let onlineStore else { return }
    onlineStore.log.limitBytes = options.settings(settings)
      .logLimit(liveBytes: onlineStore.statistics.liveBytes)
  }

  /// Where the log comes close to its limit, and flushes and cleaning hurry.
  var pressureBytes: Int? { onlineStore?.log.limitBytes.map { $0 / 5 * 4 } }

  var isPressed: Bool {
    guard let onlineStore, let pressureBytes else { return false }
    return onlineStore.log.sizeBytes > pressureBytes
  }

  /// Runs maintenance; when the disk is full, once more without the reserve, which is kept again
  /// afterwards if there is room.
  ///
  /// - Parameter body: is told whether it runs for the last time. It may be run twice, so it must do what
  ///   is left to do.
  func withReserve<Result>(
    _ body: (_ isLast: Bool) throws(FeatureStoreError) -> Result
  ) throws(FeatureStoreError) -> Result {
    let directory = StoragePath.join(self.directory, "log")
    let path = StoragePath.join(directory, WriteAheadLog.reserveName)
    let hasReserve: Bool
    do { hasReserve = try fileSystem.information(path) != nil } catch { hasReserve = false }
    do throws(FeatureStoreError) { return try body(!hasReserve) } catch {
      guard hasReserve, error.isFullDisk else { throw error }
      WriteAheadLog.releaseReserve(directory: directory, fileSystem: fileSystem)
      defer { onlineStore?.log.restoreReserve() }
      return try body(true)
    }
  }

  /// Why a write was refused. When it is the log's limit, says which table holds it up, and wakes the
  /// flush that makes room.
  func refusal(_ error: OnlineStoreError) -> FeatureStoreError {
    guard case .log(.limitReached(let sizeBytes, let limitBytes)) = error else {
      return FeatureStoreError(error)
    }
    flusher.hurry()
    return FeatureStoreError(
      .full,
      "nothing was written: the log takes \(sizeBytes) bytes, and its limit is \(limitBytes); "
        + whatHoldsTheLog(), cause: error)
  }

  /// Found anew once a second at most: who is refused tries again.
  private func whatHoldsTheLog() -> String {
    lastRefusal.withLock { last in
      let now = MonotonicClock.nowNanoseconds()
      if let last, now - last.nanoseconds < 1_000_000_000 { return last.text }
      let text = findWhatHoldsTheLog()
      last = (MonotonicClock.nowNanoseconds(), text)
      return text
    }
  }

  private func findWhatHoldsTheLog() -> String {
    let failure = lastFlushFailure.map { "; the last flush failed: \($0.message)" } ?? ""
    let failed = cleaningFailure.map { "; the last cleaning failed: \($0.message)" } ?? ""
    let slowest: (name: String, lag: FollowerLag.Group)?
    do { slowest = try followers().max { $0.lag.recordCount < $1.lag.recordCount } } catch {
      return "how far the offline tables are cannot be told: \(FeatureStoreError(error).message)"
    }
    guard let slowest, slowest.lag.recordCount > 0 else {
      let liveBytes = onlineStore?.statistics.liveBytes ?? 0
      return "the offline tables have everything, and live records take about \(liveBytes) bytes"
        + failed + "; if that stays so, raise the limit ('fstore configure --log-limit')"
    }
    let seconds = Int(slowest.lag.seconds(at: clock.nowMicroseconds()))
    return "the offline table of '\(slowest.name)' is farthest behind, by "
      + "\(slowest.lag.recordCount) records of up to \(seconds) s ago" + failure + failed
      + "; writes go on after a flush"
  }

  /// How far the offline tables are behind. Costs a look at each table, and a read of what the log
  /// has got since the last time.
  func followers() throws -> [(name: String, lag: FollowerLag.Group)] {
    let log = try log(for: "look at the log")
    let offline = groups.filter(\.isOffline)
    var positions: [UInt32: Int64] = [:]
    for group in offline {
      positions[group.id] = try OfflinePosition(tables.load(group).metadata).lsn
    }
    let flushed = try FlushedPositions.read(
      directory: directory, storeID: storeID, fileSystem: fileSystem)
    let landed = min(flushed?.lsn ?? 0, log.log.lastLSN)
    let lags = try lag.update(log, positions: positions, landedLSN: landed)
    return offline.compactMap { group in lags[group.id].map { (group.name, $0) } }
  }
}

extension FeatureStoreError {
  /// The disk has no room; a limit that the store keeps by itself is something else.
  var isFullDisk: Bool {
    switch cause {
    case let error as WriteAheadLogError:
      if case .limitReached = error { return false }
      return code == .full
    case let error as IcebergError: return error.storageError?.kind == .full
    default: return code == .full
    }
  }
}
