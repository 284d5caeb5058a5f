import Foundation
import LogSimulation
import StoreSimulation
import WriteAheadLog

// simulate [--store] [--faults] [--damage] [--length N] [--outcomes N] [--durability synchronous|interval] [--part K/N]
//   [--at-least STATES]
//
// Every sequence of up to N operations on a log, or with `--store` on an online store, with a crash before each
// call that changes the disk and so many outcomes of each crash. With `--faults` each call of a store's
// operation fails instead, once or from then on; with `--damage` every byte of a store's files is damaged, and
// sectors and files are zeroed, moved, older ones or missing.
//
// Two threads. Ends with 1 and the first broken promise, or when there were fewer states than `--at-least`.

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(1)
}

let flags = Set(CommandLine.arguments).intersection(["--store", "--faults", "--damage"])

func readOptions() -> [String: String] {
  let words = CommandLine.arguments.dropFirst().filter { !flags.contains($0) }
  var options: [String: String] = [:]
  for index in stride(from: 0, to: words.count, by: 2) {
    let known = ["--length", "--outcomes", "--durability", "--part", "--at-least"]
    guard known.contains(words[index]), index + 1 < words.count else {
      fail("unknown option '\(words[index])', or one without a value")
    }
    options[words[index]] = words[index + 1]
  }
  return options
}

let options = readOptions()

func number(_ name: String, _ usual: Int) -> Int {
  guard let text = options[name] else { return usual }
  guard let number = Int(text), number > 0 else { fail("\(name) is a number above 0") }
  return number
}

let length = number("--length", 3)
let outcomes = number("--outcomes", 4)
let relaxed = Durability.interval(milliseconds: 3_600_000)
let durabilities: [Durability] =
  switch options["--durability"] {
  case nil: [.synchronous, relaxed]
  case "synchronous": [.synchronous]
  case "interval": [relaxed]
  default: fail("--durability is synchronous or interval")
  }
let part = (options["--part"] ?? "1/1").split(separator: "/").compactMap { Int($0) }
guard part.count == 2, part[1] > 0, 1...part[1] ~= part[0] else { fail("--part is K/N") }

/// One sequence: how many disks were looked at, and what was wrong.
typealias Work = @Sendable () -> (states: Int, problem: String?)

final class Queue: @unchecked Sendable {
  // Unchecked: everything behind the lock.
  private let lock = NSLock()
  private var work: [Work]
  private(set) var states = 0
  private(set) var problem: String?
  private let start = Date()
  private var lastReport = Date()

  init(_ work: [Work]) { self.work = work }

  func next() -> Work? {
    lock.withLock { problem == nil ? work.popLast() : nil }
  }

  func note(_ states: Int, _ problem: String?) {
    lock.withLock {
      self.states += states
      self.problem = self.problem ?? problem
      guard lastReport.timeIntervalSinceNow < -60 else { return }
      lastReport = Date()
      print("\(self.states) states, \(work.count) sequences to go")
      fflush(nil)
    }
  }

  var seconds: Double { -start.timeIntervalSinceNow }
}

/// Every sequence of this part, the short ones first.
func work<Operation: Sendable>(
  _ sequences: (Int) -> [[Operation]],
  _ explore: @escaping @Sendable ([Operation], Durability, UInt64) throws -> (Int, String?)
) -> [Work] {
  (1...length).flatMap { count in
    sequences(count).enumerated().filter { $0.offset % part[1] == part[0] - 1 }
      .flatMap { index, operations in
        durabilities.map { durability -> Work in
          {
            do {
              let (states, problem) = try explore(operations, durability, UInt64(index))
              return (states, problem)
            } catch { return (0, "\(operations) \(durability): \(error)") }
          }
        }
      }
  }
}

/// All failures of all kinds, of a store that maps its files and of one that does not.
func failures(
  _ operations: [StoreSimulation.Operation], _ durability: Durability, _ seed: UInt64
) throws -> (Int, String?) {
  var states = 0
  for fault in StoreSimulation.faults {
    for seed in [seed &* 4, seed &* 4 &+ 2] {
      let (looked, problem) = try StoreSimulation().fail(
        operations, durability, fault, seed: seed)
      states += looked
      if let problem { return (states, problem) }
    }
  }
  return (states, nil)
}

/// All damages of two stores, a hundred at a time.
func damages() throws -> [Work] {
  try [false, true].flatMap { isCovered -> [Work] in
    let sample = try StoreDamage(isCovered: isCovered)
    let all = sample.all
    return stride(from: 0, to: all.count, by: 100).map { start in
      {
        let some = all[start..<min(start + 100, all.count)]
        for damage in some {
          do {
            if let problem = try sample.problem(damage).text { return (0, "\(damage): \(problem)") }
          } catch { return (0, "\(damage): \(error)") }
        }
        return (some.count, nil)
      }
    }
  }
}

func chosenWork() throws -> (name: String, work: [Work]) {
  let crashes = "after a crash, sequences of up to \(length) operations"
  if flags.contains("--damage") { return ("of damaged files of an online store", try damages()) }
  if flags.contains("--faults") {
    let name = "of the online store after a failure, sequences of up to \(length) operations"
    return (name, work(StoreSimulation.sequences, failures))
  }
  if flags.contains("--store") {
    return (
      "of the online store \(crashes)",
      work(StoreSimulation.sequences) { [outcomes] in
        try StoreSimulation().explore($0, $1, outcomes: outcomes, seed: $2)
      }
    )
  }
  return (
    "of the log \(crashes)",
    work(LogSimulation.sequences) { [outcomes] in
      try LogSimulation().explore($0, $1, outcomes: outcomes, seed: $2)
    }
  )
}

let (name, all) = try chosenWork()
let queue = Queue(all.reversed())
let threads = (0..<2).map { _ in
  let done = DispatchSemaphore(value: 0)
  Thread.detachNewThread {
    while let work = queue.next() {
      let (states, problem) = work()
      queue.note(states, problem)
    }
    done.signal()
  }
  return done
}
for thread in threads { thread.wait() }
if let problem = queue.problem { fail(problem) }
print("\(queue.states) states \(name), \(Int(queue.seconds)) s: every promise held")
if queue.states < number("--at-least", 1) { fail("fewer states than --at-least") }
