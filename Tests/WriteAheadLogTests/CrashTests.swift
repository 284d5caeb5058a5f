import Storage
import TestSupport
import Testing
import WriteAheadLog

/// What was asked of a log, and what it acknowledged.
struct LogHistory {
  /// Payloads of each append, in order of LSN; acknowledged or not.
  var appends: [(payloads: [[UInt8]], isAcknowledged: Bool)] = []
}

/// Opens, appends, and now and then closes and opens again, until something fails.
func runWorkload(
  _ files: SimulatedFileSystem, seed: UInt64, options: WriteAheadLogOptions, rounds: Int = 12
) -> (history: LogHistory, failed: Bool) {
  var generator = SeededGenerator(seed: seed)
  var history = LogHistory()
  var number: UInt64 = 0
  do {
    var log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    for _ in 0..<rounds {
      if generator.oneIn(6) {
        try log.close()
        log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
      }
      if generator.oneIn(8) { _ = try log.reserve(3) }
      let payloads = (0..<1 + generator.below(3)).map { _ -> [UInt8] in
        number += 1
        var payload: [UInt8] = []
        payload.appendLittleEndian(number)
        let filler = generator.oneIn(4) ? 1500 : 40
        return payload
          + (0..<generator.below(filler)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(number)) }
      }
      history.appends.append((payloads, false))
      _ = try log.append(LogRecords(payloads))
      history.appends[history.appends.count - 1].isAcknowledged = true
    }
    return (history, false)
  } catch {
    return (history, true)
  }
}

/// Why the recovered records are not what was promised; nil when they are: whole appends, in order,
/// none missing before one that is there, every acknowledged one there.
func violation(_ recovered: [[UInt8]], _ history: LogHistory) -> String? {
  var rest = recovered[...]
  for (index, append) in history.appends.enumerated() {
    if rest.isEmpty {
      let isLost = history.appends[index...].contains { $0.isAcknowledged }
      return isLost ? "an acknowledged append after \(index) is lost" : nil
    }
    guard Array(rest.prefix(append.payloads.count)) == append.payloads else {
      return "append \(index) is not what was appended"
    }
    rest = rest.dropFirst(append.payloads.count)
  }
  return rest.isEmpty ? nil : "there are records that nobody appended"
}

func recoveredRecords(
  _ files: SimulatedFileSystem, options: WriteAheadLogOptions
) throws -> [[UInt8]] {
  let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
  var records: [[UInt8]] = []
  var positions: [LogPosition] = []
  try log.replay(from: 1) { _, position, payload in
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
  return records
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
          if let broken = violation(records, history) {
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

  @Test(arguments: 0..<8 as Range<UInt64>)
  func afterACrashAnywhereEveryAcknowledgedAppendIsThere(seed: UInt64) {
    #expect(sweep(seed: seed) == nil)
  }

  @Test func aLogThatDoesNotSyncIsFoundOut() {
    let findings = (0..<3 as Range<UInt64>).compactMap {
      sweep(seed: $0, ignoringSynchronization: true)
    }
    #expect(!findings.isEmpty)
  }

  @Test(arguments: [SimulatedFileSystem.Fault.Kind.inputOutput, .full])
  func everyFailingCallIsReportedAndLosesNothingAcknowledged(
    kind: SimulatedFileSystem.Fault.Kind
  ) throws {
    for seed in 100..<104 as Range<UInt64> {
      let clean = SimulatedFileSystem()
      _ = runWorkload(clean, seed: seed, options: options)
      for call in 1...clean.calls {
        let files = SimulatedFileSystem()
        files.inject(.init(call: call, kind: kind))
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
          #expect(violation(records.dropLast(), history) == nil, "seed \(seed), call \(call)")
        }
        for disk in [files.restarted(), files.crashed(seed: seed &+ UInt64(call))] {
          let records = try recoveredRecords(disk, options: options)
          #expect(violation(records, history) == nil, "seed \(seed), call \(call)")
          // What was served is on the disk, not only in memory that looked clean.
          let again = try recoveredRecords(disk.crashed(seed: 3), options: options)
          #expect(again == records, "seed \(seed), call \(call)")
        }
      }
    }
  }
}
