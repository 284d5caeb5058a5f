internal import JSON
internal import Storage

/// The runs of a store's jobs: one small file each in `jobs/history`, named by its start, published as a whole.
/// So several processes note their runs without a lock, and a torn one is not there.
struct JobHistory: Sendable {
  static let directoryName = "history"
  /// The newest so many are kept, whatever their age.
  static let keptCount = 1000
  private static let recordLimitBytes = 1 << 20

  let directory: String
  let fileSystem: any FileSystem

  /// A new run's id: by its moment, and apart from others of the same moment.
  static func id(startMicroseconds: Int64) -> String {
    let digits = String(max(startMicroseconds, 0))
    let padding = String(repeating: "0", count: 16 - min(16, digits.utf8.count))
    let salt = String(UInt32.random(in: 0x1000_0000 ... .max), radix: 16)
    return padding + digits + "-" + salt
  }

  func save(_ run: JobRun) throws(StorageError) {
    try fileSystem.createDirectory(directory, withIntermediates: true)
    try fileSystem.publish(
      run.json.utf8(), at: StoragePath.join(directory, run.id + ".json"), replacing: true)
  }

  func remove(_ run: JobRun) throws(StorageError) {
    try fileSystem.removeFile(StoragePath.join(directory, run.id + ".json"))
  }

  /// The newest runs, newest first, and how many records could not be read.
  ///
  /// - Parameter isWanted: chooses among them before they count.
  func runs(
    last count: Int = .max, where isWanted: (JobRun) -> Bool = { _ in true }
  ) throws(StorageError) -> (runs: [JobRun], unreadableCount: Int) {
    var runs: [JobRun] = []
    var unreadable = 0
    for name in try names().reversed() {
      guard runs.count < count else { break }
      guard let run = try read(name) else {
        unreadable += 1
        continue
      }
      if isWanted(run) { runs.append(run) }
    }
    return (runs, unreadable)
  }

  private func names() throws(StorageError) -> [String] {
    do throws(StorageError) {
      return try fileSystem.contentsOfDirectory(directory)
        .filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
    } catch {
      if error.kind == .notFound { return [] }
      throw error
    }
  }

  private func read(_ name: String) throws(StorageError) -> JobRun? {
    do throws(StorageError) {
      let bytes = try fileSystem.readFile(
        StoragePath.join(directory, name), limitBytes: Self.recordLimitBytes)
      return parse(bytes, name)
    } catch {
      // Somebody else cleaned it away.
      if error.kind == .notFound { return nil }
      throw error
    }
  }

  private func parse(_ bytes: [UInt8], _ name: String) -> JobRun? {
    do {
      let run = JobRun(json: try JSONValue(parsing: bytes))
      return run?.id == String(name.dropLast(".json".count)) ? run : nil
    } catch { return nil }
  }

  /// Removes the oldest records beyond `keptCount`.
  func prune() throws(StorageError) {
    for name in try names().dropLast(Self.keptCount) {
      try fileSystem.removeFile(StoragePath.join(directory, name))
    }
  }
}
