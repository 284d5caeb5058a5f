import Storage
import TestSupport
import WriteAheadLog

/// A sequence of operations on a log, with a crash before each call of the last that changes the disk, what
/// was not synced kept, lost or torn by chance, and a second crash while the log recovers.
public struct LogSimulation: Sendable {
  public enum Operation: CaseIterable, Sendable {
    case put, batch, large, reserve, synchronize, removeSome, removeAll, prepare, reopen, kill
  }

  private static func options(_ durability: Durability) -> WriteAheadLogOptions {
    var options = WriteAheadLogOptions()
    options.segmentCapacityBytes = 8192
    options.preparesSegments = false
    options.durability = durability
    return options
  }

  public init() {}

  /// Crashes at each call of the last operation; how many disks were looked at, and what was wrong.
  public func explore(
    _ operations: [Operation], _ durability: Durability, outcomes: Int, seed: UInt64,
    spoiling: (SimulatedFileSystem) -> Void = { _ in }
  ) throws -> (states: Int, problem: String?) {
    let files = SimulatedFileSystem()
    spoiling(files)
    let run = try SimulatedRun(files, Self.options(durability))
    // So that there is something to remove, and little room in the last segment.
    for operation in [Operation.large, .put, .batch, .synchronize] { try run.perform(operation) }
    for operation in operations.dropLast() { try run.perform(operation) }
    files.recordImages()
    if let last = operations.last { try run.perform(last) }
    let images = files.images
    var generator = SeededGenerator(seed: seed)
    var states = 0
    for (index, image) in images.enumerated() {
      let promise = LogHistory(run.history.prefix(image.tag))
      for outcome in 0..<outcomes {
        states += 1
        let chance = generator.next()
        if let problem = check(image.disk.crashed(seed: chance), promise, durability, chance) {
          return (
            states,
            "\(operations) \(durability), call \(index) of \(images.count), outcome \(outcome), "
              + "seed \(seed): \(problem)"
          )
        }
      }
    }
    return (states, nil)
  }

  /// Recovers, by every other chance with a crash meanwhile, and goes on; what is wrong.
  private func check(
    _ crashed: SimulatedFileSystem, _ promise: LogHistory, _ durability: Durability,
    _ chance: UInt64
  ) -> String? {
    var disk = crashed
    let options = Self.options(durability)
    do {
      if chance % 2 == 0 {
        disk.recordImages()
        _ = try recovered(disk, options)
        let images = disk.images
        if !images.isEmpty {
          disk = images[Int(chance / 2 % UInt64(images.count))].disk.crashed(seed: chance &+ 1)
        }
      }
      let records = try recovered(disk, options)
      if let broken = promise.violation(records) { return broken }
      // What was served once is there for ever, and the log can be used.
      let later = disk.crashed(seed: chance &+ 2)
      let log = try WriteAheadLog.open(directory: "/log", fileSystem: later, options: options)
      _ = try log.append(LogRecords([[1, 2, 3]]))
      try log.close()
      let again = try recovered(later, options)
      return again == records + [[1, 2, 3]] ? nil : "what was recovered was not durable"
    } catch { return "\(error)" }
  }

  private func recovered(
    _ disk: SimulatedFileSystem, _ options: WriteAheadLogOptions
  ) throws -> [[UInt8]] {
    var records: [[UInt8]] = []
    _ = try WriteAheadLog.open(
      directory: "/log", fileSystem: disk, options: options, from: nil
    ) { _, _, payload in
      var bytes: [UInt8] = []
      bytes.append(contentsOf: payload)
      records.append(bytes)
      return true
    }
    return records
  }

  public static func sequences(_ length: Int) -> [[Operation]] {
    if length == 0 { return [[]] }
    return sequences(length - 1).flatMap { rest in Operation.allCases.map { rest + [$0] } }
  }
}
