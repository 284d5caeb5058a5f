import LogSimulation
import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Opens a log and does what the seed says, until something fails.
func runWorkload(
  _ files: SimulatedFileSystem, seed: UInt64, options: WriteAheadLogOptions, rounds: Int = 12
) -> (history: LogHistory, failed: Bool) {
  typealias Operation = LogSimulation.Operation
  var generator = SeededGenerator(seed: seed)
  var run: SimulatedRun?
  do {
    let fresh = try SimulatedRun(files, options)
    run = fresh
    for _ in 0..<rounds {
      // Mostly appends, so that segments fill and follow each other.
      let operations: [Operation] =
        generator.oneIn(2) ? [.put, .batch, .batch, .large] : Operation.allCases
      try fresh.perform(operations[generator.below(operations.count)])
    }
    return (LogHistory(fresh.history), false)
  } catch {
    return (LogHistory(run?.history ?? []), true)
  }
}

func recoveredRecords(
  _ files: SimulatedFileSystem, options: WriteAheadLogOptions
) throws -> [[UInt8]] {
  let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
  var records: [[UInt8]] = []
  var positions: [LogPosition] = []
  try log.replay(from: log.firstLSN) { _, position, payload in
    var bytes: [UInt8] = []
    bytes.append(contentsOf: payload)
    records.append(bytes)
    positions.append(position)
    return true
  }
  for (position, record) in zip(positions, records) {
    let isSame = try log.read(at: position) { _, payload in
      var bytes: [UInt8] = []
      bytes.append(contentsOf: payload)
      return bytes == record
    }
    if !isSame { throw WriteAheadLogError.noSuchPosition(position) }
  }
  let memory = log.memory()
  for (position, record) in zip(positions, records) where !memory.shows(record, at: position) {
    throw WriteAheadLogError.noSuchPosition(position)
  }
  return records
}

extension LogMemory {
  /// Whether this record is there in the mapped log.
  func shows(_ record: [UInt8], at position: LogPosition) -> Bool {
    let view = view.pointee
    guard let found = view.record(at: position) else { return false }
    var bytes: [UInt8] = []
    bytes.append(contentsOf: found.payload)
    return bytes == record
  }
}

@Suite struct CrashTests {
  var options: WriteAheadLogOptions {
    var options = WriteAheadLogOptions()
    options.segmentCapacityBytes = 8192
    options.preparesSegments = false
    return options
  }

  /// Crashes at every call of a workload; nil, or the first broken promise.
  func sweep(seed: UInt64, ignoringSynchronization: Bool = false) -> String? {
    let count: Int = {
      let files = SimulatedFileSystem()
      _ = runWorkload(files, seed: seed, options: options)
      return files.calls
    }()
    for call in 1...count {
      let files = SimulatedFileSystem()
      if ignoringSynchronization { files.ignoreSynchronization() }
      files.inject(.init(call: call, kind: .crash))
      let (history, _) = runWorkload(files, seed: seed, options: options)
      for outcome in 0..<2 as Range<UInt64> {
        var disk = files.crashed(seed: seed &* 1_000_003 &+ UInt64(call) &* 8 &+ outcome)
        do {
          if outcome == 1 {
            // A second crash while recovering.
            disk.inject(.init(call: 1 + call % 23, kind: .crash))
            _ = try? recoveredRecords(disk, options: options)
            disk = disk.crashed(seed: seed &+ UInt64(call))
          }
          let records = try recoveredRecords(disk, options: options)
          if let broken = history.violation(records) {
            return "seed \(seed), call \(call), outcome \(outcome): \(broken)"
          }
          // What was served once must be there for ever.
          let again = try recoveredRecords(disk.crashed(seed: 3), options: options)
          if again != records { return "seed \(seed), call \(call): recovery was not durable" }
        } catch {
          return "seed \(seed), call \(call), outcome \(outcome): \(error)"
        }
      }
    }
    return nil
  }

  @Test func afterACrashInTheMiddleOfAnyCallEveryAcknowledgedAppendIsThere() {
    for seed in 0..<UInt64(setting("FSTORE_FAULT_SEEDS", 3)) {
      #expect(sweep(seed: seed) == nil)
    }
  }

  @Test func aLogThatDoesNotSyncIsFoundOut() {
    let findings = (0..<3 as Range<UInt64>).compactMap {
      sweep(seed: $0, ignoringSynchronization: true)
    }
    #expect(!findings.isEmpty)
  }

  @Test(
    arguments: [SimulatedFileSystem.Fault.Kind.inputOutput, .full], [false, true])
  func everyFailingCallIsReportedAndLosesNothingAcknowledged(
    kind: SimulatedFileSystem.Fault.Kind, lasts: Bool
  ) throws {
    let seeds = UInt64(setting("FSTORE_FAULT_SEEDS", 3))
    for seed in 100..<100 + seeds {
      let clean = SimulatedFileSystem()
      _ = runWorkload(clean, seed: seed, options: options)
      for call in 1...clean.calls {
        let files = SimulatedFileSystem()
        files.inject(.init(call: call, kind: kind, lasts: lasts))
        let (history, _) = runWorkload(files, seed: seed, options: options)
        // A new process goes on where the failed one stopped; then the power goes.
        let next = files.restarted()
        do {
          let log = try WriteAheadLog.open(directory: "/log", fileSystem: next, options: options)
          _ = try log.append(LogRecords([[255]]))
        }
        for crash in 0..<3 as Range<UInt64> {
          let records = try recoveredRecords(next.crashed(seed: crash), options: options)
          #expect(records.last == [255], "seed \(seed), call \(call)")
          #expect(history.violation(records.dropLast()) == nil, "seed \(seed), call \(call)")
        }
        for disk in [files.restarted(), files.crashed(seed: seed &+ UInt64(call))] {
          let records = try recoveredRecords(disk, options: options)
          #expect(history.violation(records) == nil, "seed \(seed), call \(call)")
          // What was served is on the disk, not only in memory that looked clean.
          let again = try recoveredRecords(disk.crashed(seed: 3), options: options)
          #expect(again == records, "seed \(seed), call \(call)")
        }
      }
    }
  }
}

extension RawSpan {
  func isEqual(to bytes: [UInt8]) -> Bool {
    var copy: [UInt8] = []
    copy.append(contentsOf: self)
    return copy == bytes
  }
}
