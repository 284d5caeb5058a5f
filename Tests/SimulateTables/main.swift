import Foundation
import TableSimulation

// simulate-tables [--histories N] [--first SEED] [--part K/N] [--show SEED]
//
// Random histories of two tables and ten who work with them; two threads. Ends with 1 and the first broken
// promise, with the events that led to it. `--show` runs one history and prints its events.

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(1)
}

func readOptions() -> [String: String] {
  let words = Array(CommandLine.arguments.dropFirst())
  var options: [String: String] = [:]
  for index in stride(from: 0, to: words.count, by: 2) {
    guard ["--histories", "--first", "--part", "--show"].contains(words[index]),
      index + 1 < words.count
    else { fail("unknown option '\(words[index])', or one without a value") }
    options[words[index]] = words[index + 1]
  }
  return options
}

let options = readOptions()

func number(_ name: String, _ usual: UInt64) -> UInt64 {
  guard let text = options[name] else { return usual }
  guard let number = UInt64(text) else { fail("\(name) is a number") }
  return number
}

if options["--show"] != nil {
  let history = try TableHistory(seed: number("--show", 1), keepsLog: true)
  try history.run()
  print(history.log.joined(separator: "\n"))
  exit(history.problem == nil ? 0 : 1)
}

let part = (options["--part"] ?? "1/1").split(separator: "/").compactMap { UInt64($0) }
guard part.count == 2, part[1] > 0, 1...part[1] ~= part[0] else { fail("--part is K/N") }
let count = number("--histories", 20_000)
let first = number("--first", 1)
let seeds = (first + count * (part[0] - 1) / part[1])..<(first + count * part[0] / part[1])

final class Work: @unchecked Sendable {
  // Unchecked: everything behind the lock.
  private let lock = NSLock()
  private var next: UInt64
  private var problem: String?
  private var histories = 0
  private var commits = 0
  private var crashes = 0
  private var calls = 0
  private var removedFiles = 0
  private var microseconds: Int64 = 0
  private let start = Date()
  private var lastReport = Date()

  init(first: UInt64) { next = first }

  func seed(before end: UInt64) -> UInt64? {
    lock.withLock {
      guard problem == nil, next < end else { return nil }
      defer { next += 1 }
      return next
    }
  }

  func note(_ history: TableHistory) {
    lock.withLock {
      histories += 1
      commits += history.commitCount
      crashes += history.crashCount
      calls += history.callCount
      removedFiles += history.removedFileCount
      microseconds += history.simulatedMicroseconds
      if problem == nil, let found = history.problem { problem = "seed \(history.seed): \(found)" }
      guard lastReport.timeIntervalSinceNow < -60 else { return }
      lastReport = Date()
      print("\(histories) histories")
      fflush(nil)
    }
  }

  func fail(_ seed: UInt64, _ error: any Error) {
    lock.withLock { problem = problem ?? "seed \(seed): \(error)" }
  }

  var result: (text: String, problem: String?) {
    let years = Double(microseconds) / 1e6 / 86_400 / 365
    let seconds = Int(-start.timeIntervalSinceNow)
    return (
      "\(histories) histories of tables, \(commits) commits, \(crashes) crashes of the machine, "
        + "\(removedFiles) files removed, \(calls) calls, \(Int(years)) simulated years, \(seconds) s",
      problem
    )
  }
}

let work = Work(first: seeds.lowerBound)
let threads = (0..<2).map { _ in
  let done = DispatchSemaphore(value: 0)
  let thread = Thread {
    while let seed = work.seed(before: seeds.upperBound) {
      do {
        let history = try TableHistory(seed: seed)
        try history.run()
        work.note(history)
      } catch { work.fail(seed, error) }
    }
    done.signal()
  }
  thread.stackSize = 16 << 20
  thread.start()
  return done
}
for thread in threads { thread.wait() }
let (text, problem) = work.result
if let problem { fail("\(text)\n\(problem)\nThe events: simulate-tables --show SEED") }
print("\(text): every promise held")
