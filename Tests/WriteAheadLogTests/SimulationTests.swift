import Foundation
import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Every short sequence of operations, with a crash before each call that changes the disk, what was
/// not synced kept, lost or torn by chance, and a second crash while the log recovers.
///
/// `FSTORE_SIMULATION_LENGTH` makes the sequences longer, `FSTORE_SIMULATION_OUTCOMES` tries more
/// outcomes of each crash.
@Suite struct SimulationTests {
  enum Operation: CaseIterable {
    case put, batch, large, reserve, synchronize, removeSome, removeAll, prepare, reopen, kill
  }

  static func setting(_ name: String, _ usual: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? usual
  }

  static func options(_ durability: Durability) -> WriteAheadLogOptions {
    var options = WriteAheadLogOptions()
    options.segmentCapacityBytes = 8192
    options.preparesSegments = false
    options.durability = durability
    return options
  }

  /// A log in use, and what it promised, as far as a tag.
  final class Run {
    var history: [HistoryEvent] = []
    let files: SimulatedFileSystem
    let options: WriteAheadLogOptions
    var log: WriteAheadLog?
    var number: UInt64 = 0
    var lastLSN: LogSequenceNumber = 0

    init(_ files: SimulatedFileSystem, _ options: WriteAheadLogOptions) throws {
      self.files = files
      self.options = options
      log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    }

    func note(_ event: HistoryEvent) {
      history.append(event)
      files.tag(history.count)
    }

    func append(_ log: WriteAheadLog, _ sizes: [Int]) throws {
      let payloads = sizes.map { size -> [UInt8] in
        number += 1
        return LogHistory.payload(number, sizeBytes: size)
      }
      note(.appending(payloads))
      do throws(WriteAheadLogError) {
        lastLSN = try log.append(LogRecords(payloads)).lsns.upperBound
      } catch {
        // Nothing was written, and the log goes on.
        guard case .full = error else { throw error }
        note(.refused)
        return
      }
      note(.returned(lastLSN))
      if options.durability == .synchronous { note(.durable) }
    }

    func perform(_ operation: Operation) throws {
      if operation == .kill {
        log = nil
        log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
        // What was read back was made durable first.
        note(.durable)
        return
      }
      guard let log else { return }
      switch operation {
      case .put: try append(log, [40])
      case .batch: try append(log, [10, 700, 30])
      case .large: try append(log, [3000])
      case .reserve:
        _ = try log.reserve(3)
        note(.durable)
      case .synchronize:
        try log.synchronize()
        note(.durable)
      case .removeSome:
        let lsn = lastLSN / 2
        note(.removing(upTo: lsn))
        try log.removeSegments(upTo: lsn)
      case .removeAll:
        note(.removing(upTo: lastLSN))
        try log.removeSegments(upTo: lastLSN)
      case .prepare: log.prepareNextSegment()
      case .reopen:
        try log.close()
        note(.durable)
        self.log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
      case .kill: break
      }
    }
  }

  /// Crashes at each call of the last operation; how many disks were looked at, and what was wrong.
  func explore(
    _ operations: [Operation], _ durability: Durability, outcomes: Int, seed: UInt64,
    spoiling: (SimulatedFileSystem) -> Void = { _ in }
  ) throws -> (states: Int, problem: String?) {
    let files = SimulatedFileSystem()
    spoiling(files)
    let run = try Run(files, Self.options(durability))
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

  static func sequences(_ length: Int) -> [[Operation]] {
    if length == 0 { return [[]] }
    return sequences(length - 1).flatMap { rest in Operation.allCases.map { rest + [$0] } }
  }

  @Test(arguments: [Durability.synchronous, .interval(milliseconds: 3_600_000)])
  func afterACrashAnywhereInAShortSequenceThePromisesHold(durability: Durability) throws {
    let length = Self.setting("FSTORE_SIMULATION_LENGTH", 2)
    let outcomes = Self.setting("FSTORE_SIMULATION_OUTCOMES", 2)
    var states = 0
    for count in 1...length {
      for (index, operations) in Self.sequences(count).enumerated() {
        let (looked, problem) = try explore(
          operations, durability, outcomes: outcomes, seed: UInt64(index))
        states += looked
        #expect(problem == nil)
        if problem != nil { return }
      }
    }
    print("\(states) crashes at \(durability)")
    #expect(states > 100 * length * outcomes)
  }

  @Test func longSequencesHoldTheirPromisesToo() throws {
    let seeds = Self.setting("FSTORE_SIMULATION_SEEDS", 30)
    for seed in 0..<UInt64(seeds) {
      var generator = SeededGenerator(seed: seed &+ 77)
      let operations = (0..<20).map { _ in
        Operation.allCases[generator.below(Operation.allCases.count)]
      }
      // Each place in the sequence has its turn to be the last.
      let cut = 3 + Int(seed) % 18
      let durability =
        generator.oneIn(2) ? Durability.synchronous : .interval(milliseconds: 3_600_000)
      let (_, problem) = try explore(
        Array(operations.prefix(cut)), durability, outcomes: 4, seed: seed)
      #expect(problem == nil)
    }
  }

  /// The simulation must be able to see what a log without syncs loses.
  @Test(arguments: [(true, false), (false, true)])
  func missingSyncsAreFoundOut(ofDirectories: Bool, ofFiles: Bool) throws {
    var problems = 0
    for operations in Self.sequences(1) + Self.sequences(2).prefix(30) {
      let found = try? explore(operations, .synchronous, outcomes: 2, seed: 1) { files in
        files.ignoreSynchronization(ofDirectories: ofDirectories, ofFiles: ofFiles)
      }
      if found == nil || found?.problem != nil { problems += 1 }
    }
    #expect(problems > 0)
  }
}

/// What happened to a log, in order.
enum HistoryEvent {
  case appending([[UInt8]])
  /// The append returned with this last LSN.
  case returned(LogSequenceNumber)
  /// The append was refused before anything was written.
  case refused
  /// Everything that returned is on disk.
  case durable
  case removing(upTo: LogSequenceNumber)
}

/// What a log must and may hold.
struct LogHistory {
  struct Append {
    var payloads: [[UInt8]]
    var lastLSN: LogSequenceNumber = .max
    var isDurable = false
  }

  var appends: [Append] = []
  /// A record up to there may be gone.
  var removedUpTo: LogSequenceNumber = 0

  init(_ events: some Sequence<HistoryEvent>) {
    for event in events {
      switch event {
      case .appending(let payloads): appends.append(Append(payloads: payloads))
      case .refused: appends.removeLast()
      case .returned(let lsn): appends[appends.count - 1].lastLSN = lsn
      case .durable:
        for index in appends.indices where appends[index].lastLSN < .max {
          appends[index].isDurable = true
        }
      case .removing(let lsn): removedUpTo = max(removedUpTo, lsn)
      }
    }
  }

  static func payload(_ number: UInt64, sizeBytes: Int) -> [UInt8] {
    var payload: [UInt8] = []
    payload.appendLittleEndian(number)
    return payload
      + (0..<sizeBytes).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(number)) }
  }

  /// Why the recovered records are not what was promised; nil when they are: whole appends, in order,
  /// none missing between two that are there, all durable ones that were not removed.
  func violation(_ records: [[UInt8]]) -> String? {
    let kept = appends.firstIndex { $0.payloads.first == records.first } ?? appends.count
    for (index, append) in appends[..<kept].enumerated() where append.isDurable {
      guard append.lastLSN <= removedUpTo else { return "durable append \(index) is lost" }
    }
    var rest = records[...]
    for (index, append) in appends[kept...].enumerated() {
      if rest.isEmpty {
        return append.isDurable ? "durable append \(kept + index) is lost at the end" : nil
      }
      guard Array(rest.prefix(append.payloads.count)) == append.payloads else {
        return "append \(kept + index) is not what was appended"
      }
      rest = rest.dropFirst(append.payloads.count)
    }
    return rest.isEmpty ? nil : "there are records that nobody appended"
  }
}
