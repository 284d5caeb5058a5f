import Foundation
import LogSimulation
import WriteAheadLog

// simulate [--length N] [--outcomes N] [--durability synchronous|interval] [--part K/N] [--at-least STATES]
//
// Every sequence of up to N operations on a log, with a crash before each call that changes the disk and so many
// outcomes of each crash; two threads. Ends with 1 and the first broken promise, or when there were fewer
// states than `--at-least`.

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(1)
}

func readOptions() -> [String: String] {
  let words = Array(CommandLine.arguments.dropFirst())
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
var durabilities: [Durability] = [.synchronous, .interval(milliseconds: 3_600_000)]
switch options["--durability"] {
case nil: break
case "synchronous": durabilities = [durabilities[0]]
case "interval": durabilities = [durabilities[1]]
default: fail("--durability is synchronous or interval")
}
let part = (options["--part"] ?? "1/1").split(separator: "/").compactMap { Int($0) }
guard part.count == 2, part[1] > 0, 1...part[1] ~= part[0] else { fail("--part is K/N") }

struct Work {
  var operations: [LogSimulation.Operation]
  var durability: Durability
  var seed: UInt64
}

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

var work: [Work] = []
for count in 1...length {
  for (index, operations) in LogSimulation.sequences(count).enumerated()
  where index % part[1] == part[0] - 1 {
    for durability in durabilities {
      work.append(Work(operations: operations, durability: durability, seed: UInt64(index)))
    }
  }
}
let queue = Queue(work.reversed())
let threads = (0..<2).map { _ in
  let done = DispatchSemaphore(value: 0)
  Thread.detachNewThread {
    while let work = queue.next() {
      do {
        let (states, problem) = try LogSimulation().explore(
          work.operations, work.durability, outcomes: outcomes, seed: work.seed)
        queue.note(states, problem)
      } catch { queue.note(0, "\(work.operations) \(work.durability): \(error)") }
    }
    done.signal()
  }
  return done
}
for thread in threads { thread.wait() }
if let problem = queue.problem { fail(problem) }
print(
  "\(queue.states) states of the log after a crash, sequences of up to \(length) operations, "
    + "\(Int(queue.seconds)) s: every promise held")
if queue.states < number("--at-least", 1) { fail("fewer states than --at-least") }
