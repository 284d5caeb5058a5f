import Glibc
import TestSupport

// properties --cases N [--seed S] [--only NAME]: checks that many cases of properties in all, each of a
// seed of its own. A failure prints the property and the seed; `--only NAME --seed S --cases 1` sees it
// again.

/// A broken property.
struct Broken: Error {
  var message: String
}

func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw Broken(message: message()) }
}

/// A property: `check` makes and checks some cases from a seed and says how many they were.
struct Property {
  var name: String
  /// Of all cases, in thousandths.
  var share: Int
  var check: (inout SeededGenerator) throws -> Int
}

let properties = [
  Property(name: "rows", share: 400, check: checkRows),
  Property(name: "keys", share: 200, check: checkKeys),
  Property(name: "entries", share: 150, check: checkEntries),
  Property(name: "frames", share: 100, check: checkFrames),
  Property(name: "damaged frames", share: 10, check: checkDamagedFrames),
  Property(name: "index", share: 100, check: checkIndex),
  Property(name: "checkpoints", share: 10, check: checkCheckpoints),
  Property(name: "json", share: 20, check: checkJSON),
  Property(name: "avro", share: 10, check: checkAvro),
]

func argument(_ name: String) -> String? {
  guard let index = CommandLine.arguments.firstIndex(of: name),
    index + 1 < CommandLine.arguments.count
  else { return nil }
  return CommandLine.arguments[index + 1]
}

guard let text = argument("--cases"), let wanted = Int(text), wanted > 0 else {
  print("usage: properties --cases N [--seed S] [--only NAME]")
  exit(64)
}
let first = argument("--seed").flatMap { UInt64($0) } ?? 0
let only = argument("--only")
var total = 0
for property in properties where only == nil || only == property.name {
  let share = only == nil ? max(1, wanted * property.share / 1000) : wanted
  var count = 0
  var seed = first
  while count < share {
    var generator = SeededGenerator(seed: seed)
    do { count += try property.check(&generator) } catch {
      let message = (error as? Broken)?.message ?? "\(error)"
      print("BROKEN: property '\(property.name)', seed \(seed): \(message)")
      exit(1)
    }
    seed &+= 1
  }
  print("property '\(property.name)': \(count) cases, seeds \(first) to \(seed &- 1)")
  total += count
}
print("properties: \(total) cases, none broken")
