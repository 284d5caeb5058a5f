import CAllocationCount
import FeatureModel
import FeatureStore
import Foundation
import OnlineStore

// allocations DIRECTORY [--check]
//
// How often one operation of a prepared group asks for memory, with records of 2 features and of 62: one line
// a case, `CASE FEATURES COUNT`. With --check it ends with 1 when a case asks more often for 62 than for 2,
// beyond what rows and batches that outgrow their memory cost. Of use in an optimized build: without it Swift's
// own collections ask for memory for every byte that is appended.

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(1)
}

let words = Array(CommandLine.arguments.dropFirst())
guard let directory = words.first, words.dropFirst() == [] || words.dropFirst() == ["--check"]
else {
  fail("usage: allocations DIRECTORY [--check]")
}

let types: [FeatureType] = [
  .double, .string, .long, .list(element: .float, dimension: 4), .boolean, .int,
]
let text = "a string that does not fit into the value itself"
let vector: [Float] = [1, 2, 3, 4]

func fill(_ row: inout RowWriter, _ count: Int) {
  for feature in 0..<count {
    switch feature % types.count {
    case 0: row.set(feature, Double(feature))
    case 1: row.set(feature, text)
    case 2: row.set(feature, feature)
    case 3: row.set(feature, vector.span)
    case 4: row.set(feature, true)
    default: row.set(feature, Int32(feature))
    }
  }
}

/// Reads every feature in place; strings as their bytes.
func read(_ record: OnlineRecord, _ count: Int, _ floats: inout MutableSpan<Float>) throws -> Int {
  var found = 0
  for feature in 0..<count {
    switch feature % types.count {
    case 0: found += try record.double(feature) == Double(feature) ? 1 : 0
    case 1: found += try record.bytes(feature)?.byteCount == text.utf8.count ? 1 : 0
    case 2: found += try record.int64(feature) == Int64(feature) ? 1 : 0
    case 3: found += try record.copyFloats(feature, to: &floats) == 4 ? 1 : 0
    case 4: found += try record.boolean(feature) == true ? 1 : 0
    default: found += try record.int32(feature) == Int32(feature) ? 1 : 0
    }
  }
  return found
}

/// The least that ten runs took, after some that do not count: what else happens in the process only adds.
func report(_ name: String, _ count: Int, times: Int = 20, _ body: () throws -> Void) rethrows
  -> Double
{
  for _ in 0..<times { try body() }
  var least = UInt.max
  for _ in 0..<10 {
    let before = allocation_count()
    for _ in 0..<times { try body() }
    least = min(least, allocation_count() - before)
  }
  print(name, count, Double(least) / Double(times))
  return Double(least) / Double(times)
}

func reportTasks(_ name: String, _ count: Int, _ body: () async throws -> Void) async rethrows
  -> Double
{
  for _ in 0..<20 { try await body() }
  var least = UInt.max
  for _ in 0..<20 {
    let before = allocation_count_of_process()
    try await body()
    least = min(least, allocation_count_of_process() - before)
  }
  print(name, count, Double(least))
  return Double(least)
}

/// All cases; what they took by case and features.
func measure(_ directory: String) async throws -> [String: [Int: Double]] {
  var counts: [String: [Int: Double]] = [:]
  var options = FeatureStore.Options()
  options.isDurable = false
  options.flushesAutomatically = false
  options.logSegmentBytes = 16 << 20
  try FeatureStore.create(at: directory, options: options)
  let store = try FeatureStore.open(at: directory, options: options)
  for count in [2, 62] {
    try store.createGroup(
      FeatureGroup(
        id: 0, name: "wide\(count)", recordIdentifiers: [Feature("id", .string)],
        eventTimeName: "at",
        features: (0..<count).map { Feature("f\($0)", types[$0 % types.count]) }))
    let group = try store.online("wide\(count)")
    let key = try group.key("an entity")
    var row = RowWriter(RowLayout(group.definition))
    counts["row", default: [:]][count] = report("row", count) {
      row.removeAll()
      fill(&row, count)
    }
    counts["put", default: [:]][count] = try report("put", count) {
      try group.put(key, eventTime: 1) { fill(&$0, count) }
    }
    counts["put-if", default: [:]][count] = try report("put-if", count) {
      _ = try group.put(key, eventTime: 1, if: .eventTime(1)) { fill(&$0, count) }
    }
    counts["batch-of-64", default: [:]][count] = try report("batch-of-64", count, times: 1) {
      var batch = group.newBatch()
      for _ in 0..<64 { try batch.put(key, eventTime: 1) { fill(&$0, count) } }
      try group.write(batch)
    }
    var floats = [Float](repeating: 0, count: 4)
    counts["get", default: [:]][count] = try report("get", count) {
      var span = floats.mutableSpan
      let found = try group.withRecord(key) { try read($0, count, &span) }
      guard found == count else { fail("\(found ?? -1) of \(count) features were right") }
    }
    let keys = [EntityKey](repeating: key, count: 100)
    counts["get-batch-of-100", default: [:]][count] = try report(
      "get-batch-of-100", count, times: 1
    ) {
      var span = floats.mutableSpan
      var found = 0
      try group.withRecords(keys) { found += try read($1, count, &span) }
      guard found == 100 * count else { fail("\(found) of \(100 * count) features were right") }
    }
    counts["put-async", default: [:]][count] = try await reportTasks("put-async", count) {
      try await group.put(key, eventTime: 1) { fill(&$0, count) }
    }
  }
  try store.close()
  return counts
}

func check(_ counts: [String: [Int: Double]]) {
  for (name, count) in counts {
    guard let few = count[2], let many = count[62] else { fail("\(name) was not counted twice") }
    // What grows doubles, so its cost is the logarithm of what 62 features take more than 2.
    let room = name.hasPrefix("get") || name == "row" ? 0.0 : 12
    guard many <= few + room else { fail("\(name): \(few) with 2 features, \(many) with 62") }
  }
  guard counts["get"] == [2: 0, 62: 0] else { fail("a get allocates") }
}

do {
  let counts = try await measure(directory)
  if words.contains("--check") { check(counts) }
} catch { fail("\(error)") }
