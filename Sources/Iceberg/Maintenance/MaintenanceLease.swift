import Storage

/// The right to maintain one table: one holder at a time, over all processes of the machine.
///
/// It saves work and spares running jobs surprises (expiry under a compaction, say). Nothing is
/// correct only because of it: that is what commits are for. Ends with `release()`, with the last
/// reference, or with the process.
public final class MaintenanceLease: Sendable {
  public enum Outcome: Sendable {
    case acquired(MaintenanceLease)
    /// Somebody else is at it; what they said of themselves. A command exits with 75 then.
    case locked(holder: String)
  }

  /// The table that may be maintained.
  public let tableUUID: String?
  private let lock: any FileLock

  private init(_ lock: any FileLock, tableUUID: String?) {
    self.lock = lock
    self.tableUUID = tableUUID
  }

  deinit { lock.release() }

  /// Tries once, without waiting. The lock file lies in the table's location, where every store and
  /// catalog that has the table finds it, and is never removed.
  ///
  /// - Parameter holder: what others are told: the name of the job.
  public static func acquire(_ table: Table, holder: String) throws(IcebergError) -> Outcome {
    let location = try table.io.path(of: table.location)
    do throws(StorageError) {
      try table.io.fileSystem.createDirectory(location, withIntermediates: true)
      let lock = try table.io.fileSystem.lock(location + "/.maintenance.lock", holder: holder)
      return .acquired(MaintenanceLease(lock, tableUUID: table.metadata.tableUUID))
    } catch {
      guard error.kind == .locked else { throw IcebergError(error) }
      return .locked(holder: error.message)
    }
  }

  /// Ends the lease; further calls do nothing.
  public func release() { lock.release() }
}
