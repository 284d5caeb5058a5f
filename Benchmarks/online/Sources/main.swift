import Glibc
import OnlineStore

// online-benchmark [--keys N] [--rounds N] [--seconds S] [--directory DIR] [--json FILE]
//                  [--engines NAME,...] [--parts reads,relaxed,durable,recovery,prepared]
//
// Gets, batch gets and puts of the online store beside a flat table in memory (the limit), LMDB, RocksDB,
// SQLite and Redis, in one run: in every round the engines take turns, and medians over the rounds are
// compared. Keys of 16 bytes, rows of 200.

/// The value of an option of the command line.
func option(_ name: String) -> String? {
  let words = CommandLine.arguments
  guard let index = words.firstIndex(of: name), index + 1 < words.count else { return nil }
  return words[index + 1]
}

if !Set(CommandLine.arguments).isDisjoint(with: ["--help", "-h"]) {
  print(
    """
    usage: online-benchmark [--keys N] [--rounds N] [--seconds S] [--directory DIR] [--json FILE]
                            [--engines NAME,...] [--parts reads,relaxed,durable,recovery,prepared]

    Gets, batch gets and puts of the online store beside a flat table in memory (the limit), LMDB,
    RocksDB, SQLite and Redis. Prints medians over the rounds (3 if not said) and ratios.
    """)
  exit(0)
}
let keyCount = option("--keys").flatMap { Int($0) } ?? 1_000_000
let rounds = option("--rounds").flatMap { Int($0) } ?? 3
let seconds = option("--seconds").flatMap { Double($0) } ?? 1.5
let directory = option("--directory") ?? ".build/online-benchmark"
guard keyCount >= 10_000, rounds >= 1, seconds > 0 else {
  print("at least 10000 keys, 1 round and some seconds")
  exit(64)
}
/// Which engines take part, and in what; all when not said. For a profile of one.
let chosenEngines = option("--engines")?.split(separator: ",").map(String.init)
let parts = Set(
  (option("--parts") ?? "reads,relaxed,durable,recovery,prepared").split(separator: ",").map(
    String.init))
guard parts.isSubset(of: ["reads", "relaxed", "durable", "recovery", "prepared"]) else {
  print("the parts are reads, relaxed, durable, recovery and prepared")
  exit(64)
}

func isChosen(_ name: String) -> Bool {
  chosenEngines?.contains { name.lowercased().hasPrefix($0.lowercased()) } ?? true
}

let limitName = "flat index in memory"
let diskName = "disk, write and sync"

func remove(_ path: String) {
  var pid = pid_t()
  var words: [UnsafeMutablePointer<CChar>?] = [strdup("rm"), strdup("-rf"), strdup(path), nil]
  guard posix_spawnp(&pid, "rm", nil, nil, &words, environ) == 0 else { return }
  var status: Int32 = 0
  waitpid(pid, &status, 0)
}

/// Gets of one round: one by one, on two threads, by hundreds.
func measureReads(
  _ engines: [any Engine], _ workload: Workload, into results: inout Results, seed: UInt64
) {
  for distribution in ["uniform", "zipf"] {
    let numbers =
      distribution == "uniform"
      ? workload.uniform(400_000, seed: seed) : workload.zipf(400_000, seed: seed)
    for engine in engines {
      let count = engine.isRemote ? 20_000 : 400_000
      _ = gets(engine, numbers.prefix(count / 4), isTimed: false)
      let figures = Percentiles(gets(engine, numbers.prefix(count), isTimed: true))
      results.note("get \(distribution) p50", engine.name, figures.median / 1e3, "us")
      results.note("get \(distribution) p99", engine.name, figures.p99 / 1e3, "us")
    }
    for engine in engines {
      let count = engine.isRemote ? 20_000 : 400_000
      let halves = [numbers.prefix(count), numbers.suffix(count)]
      let elapsed = onThreads(2) { _ = gets(engine, halves[$0], isTimed: false) }
      results.note(
        "get \(distribution) 2 threads", engine.name, Double(2 * count) / elapsed, "gets/s",
        isHigherBetter: true)
    }
    for engine in engines {
      let figures = Percentiles(batches(engine, numbers.prefix(engine.isRemote ? 50_000 : 400_000)))
      results.note("getBatch of 100 \(distribution) p50", engine.name, figures.median / 1e3, "us")
      results.note("getBatch of 100 \(distribution) p99", engine.name, figures.p99 / 1e3, "us")
    }
  }
}

/// Loads the engines, then reads and writes without a sync for each record.
func relaxedPart(_ results: inout Results) throws {
  let ours = try OurEngine(directory + "/ours", isDurable: false)
  var kept: [any Engine] = [ours]
  if isChosen("LMDB") { kept.append(LMDBEngine(directory + "/lmdb", isDurable: false)) }
  let rocksdb =
    isChosen("RocksDB") ? RocksDBEngine(directory + "/rocksdb", isDurable: false) : nil
  if let rocksdb { kept.append(rocksdb) }
  if isChosen("SQLite") { kept.append(SQLiteEngine(directory + "/sqlite", isDurable: false)) }
  if isChosen("Redis") { kept.append(RedisEngine(directory + "/redis", appendfsync: "everysec")) }
  let engines = (isChosen("flat") ? [FlatEngine(capacity: keyCount)] : []) + kept
  for engine in engines {
    let rate = Double(keyCount) / fill(engine, keyCount)
    results.note("load in batches of 1000", engine.name, rate, "records/s", isHigherBetter: true)
  }
  rocksdb?.compact()
  let statistics = ours.store.statistics
  results.note(
    "index memory", "fstore", Double(statistics.indexBytes) / Double(statistics.indexedKeys),
    "bytes/key")
  let workload = Workload(count: keyCount)
  for round in 1...rounds where parts.contains("reads") {
    measureReads(engines, workload, into: &results, seed: UInt64(round))
    print("reads, round \(round) of \(rounds) done")
    fflush(nil)
  }
  for round in 1...rounds where parts.contains("relaxed") {
    for engine in kept {
      let figures = puts(engine, keys: keyCount, threads: 1, batch: 1000, seconds: seconds)
      results.note(
        "relaxed put 1 caller batches of 1000", engine.name, figures.recordsPerSecond, "records/s",
        isHigherBetter: true)
    }
    print("relaxed puts, round \(round) of \(rounds) done")
    fflush(nil)
  }
  for engine in engines { engine.close() }
  for _ in 1...rounds {
    let start = now()
    let again = try OurEngine(directory + "/ours", isDurable: true)
    results.note("open", "fstore", Double(now() - start) / 1e9, "s")
    again.close()
  }
}

func durablePart(_ results: inout Results) throws {
  var engines: [any Engine] = [try OurEngine(directory + "/ours-sync", isDurable: true)]
  if isChosen("LMDB") { engines.append(LMDBEngine(directory + "/lmdb-sync", isDurable: true)) }
  if isChosen("RocksDB") {
    engines.append(RocksDBEngine(directory + "/rocksdb-sync", isDurable: true))
  }
  if isChosen("SQLite") {
    engines.append(SQLiteEngine(directory + "/sqlite-sync", isDurable: true))
  }
  if isChosen("Redis") {
    engines.append(RedisEngine(directory + "/redis-sync", appendfsync: "always"))
  }
  for round in 1...rounds {
    for (threads, batch) in [(1, 1), (32, 1), (32, 16)] {
      let name =
        "durable put \(threads) caller\(threads > 1 ? "s" : "")"
        + (batch > 1 ? " batches of 16" : "")
      for engine in engines {
        // Each right after the disk alone, for the disk's mood changes.
        let raw = Percentiles(rawSyncs(directory + "/raw"))
        results.note("write and sync 256 bytes p50", "disk", raw.median / 1e3, "us")
        if threads == 1, engine.name == "fstore" {
          results.note(name, diskName, 1e9 / raw.mean, "records/s", isHigherBetter: true)
          results.note(name + " p50", diskName, raw.median / 1e3, "us")
        }
        let figures = puts(engine, keys: keyCount, threads: threads, batch: batch, seconds: seconds)
        results.note(
          name, engine.name, figures.recordsPerSecond, "records/s", isHigherBetter: true)
        results.note(name + " p50", engine.name, figures.latency.median / 1e3, "us")
        results.note(name + " p99", engine.name, figures.latency.p99 / 1e3, "us")
      }
    }
    print("durable puts, round \(round) of \(rounds) done")
    fflush(nil)
  }
  for engine in engines { engine.close() }
}

/// Opening a GiB of log that no checkpoint covers: random puts of all keys.
func recoveryPart(_ results: inout Results) throws {
  let path = directory + "/recovery"
  let engine = try OurEngine(path, isDurable: false, isCheckpointed: false)
  let order = Workload(count: keyCount).uniform((1 << 30) / 288, seed: 9)
  for first in stride(from: 0, to: order.count, by: 100) {
    engine.put(order[first..<min(first + 100, order.count)].map { Workload.record($0) })
  }
  let gibibytes = Double(engine.store.statistics.logBytes) / Double(1 << 30)
  engine.close()
  for round in 1...rounds {
    let start = now()
    let again = try OurEngine(path, isDurable: true, isCheckpointed: false)
    results.note("recovery of a GiB", "fstore", Double(now() - start) / 1e9 / gibibytes, "s")
    again.close()
    print("recovery, round \(round) of \(rounds) done")
    fflush(nil)
  }
}

remove(directory)
mkdir(directory, 0o700)
print(
  "\(keyCount) keys of \(Workload.keyBytes) bytes, rows of \(Workload.rowBytes) bytes, \(rounds) rounds"
)
var results = Results()
let bandwidth = memoryBandwidth()
if parts.contains("reads") || parts.contains("relaxed") { try relaxedPart(&results) }
if parts.contains("durable") { try durablePart(&results) }
if parts.contains("recovery") { try recoveryPart(&results) }
if parts.contains("prepared") { try preparedPart(&results) }
remove(directory)
results.print(limits: [limitName, diskName])
let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
print(
  "\n\(cores) cores; copying memory on one: \(Results.text(bandwidth / 1e9)) GB/s read and written")
if let path = option("--json") {
  let text = results.json([
    ("keys", "\(keyCount)"), ("rounds", "\(rounds)"), ("cores", "\(cores)"),
    ("memory_copy_gigabytes_per_second", Results.text(bandwidth / 1e9)),
  ])
  guard let file = fopen(path, "w"), fputs(text, file) >= 0, fclose(file) == 0 else {
    print("cannot write '\(path)'")
    exit(74)
  }
}
