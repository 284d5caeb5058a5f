import FeatureModel
import Glibc
import OnlineStore

// online-benchmark [--keys N] [--directory DIR] [--seconds S]: gets, batch gets and puts of the online store,
// LMDB and RocksDB in one process, in turns. Rows of 200 bytes, keys of 16; every get copies the row out.

/// The value of an option of the command line.
func option(_ name: String) -> String? {
  let words = CommandLine.arguments
  guard let index = words.firstIndex(of: name), index + 1 < words.count else { return nil }
  return words[index + 1]
}

let keyCount = option("--keys").flatMap { Int($0) } ?? 1_000_000
let directory = option("--directory") ?? "/tmp/fstore-online-benchmark"

func row(_ label: String, _ text: String) {
  print(label.padded(to: 34) + text)
}

extension String {
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - count))
  }
}

func rounded(_ value: Double, _ digits: Int = 2) -> String {
  let scale = pow(10.0, Double(digits))
  return "\((value * scale).rounded() / scale)"
}

func fill(_ engine: any Engine, _ keyCount: Int) -> Double {
  let start = now()
  var key = [UInt8](repeating: 0, count: Workload.keyBytes)
  for first in stride(from: 0, to: keyCount, by: 1000) {
    engine.put(
      (first..<min(first + 1000, keyCount)).map { number in
        Workload.writeKey(number, into: &key)
        return (key, Workload.row(number))
      })
  }
  return Double(now() - start) / 1e9
}

/// Gets one by one; the nanoseconds of each, and how many went wrong.
func gets(_ engine: any Engine, _ numbers: [Int], isTimed: Bool) -> (times: [UInt64], wrong: Int) {
  var times: [UInt64] = []
  if isTimed { times.reserveCapacity(numbers.count) }
  var wrong = 0
  var key = [UInt8](repeating: 0, count: Workload.keyBytes)
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)
  defer { buffer.deallocate() }
  for number in numbers {
    Workload.writeKey(number, into: &key)
    let start = isTimed ? now() : 0
    let count = engine.get(key, into: buffer)
    if isTimed { times.append(now() - start) }
    if count != Workload.rowBytes || buffer.load(as: UInt64.self) != UInt64(number) { wrong += 1 }
  }
  return (times, wrong)
}

func batches(_ engine: any Engine, _ numbers: [Int]) -> (times: [UInt64], wrong: Int) {
  var times: [UInt64] = []
  var wrong = 0
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 101, alignment: 16)
  defer { buffer.deallocate() }
  var key = [UInt8](repeating: 0, count: Workload.keyBytes)
  for first in stride(from: 0, to: numbers.count - 100, by: 100) {
    var keys = EncodedRows()
    for number in numbers[first..<first + 100] {
      Workload.writeKey(number, into: &key)
      keys.append(key)
    }
    let start = now()
    let count = engine.getBatch(keys, into: buffer)
    times.append(now() - start)
    if count != 100 * Workload.rowBytes { wrong += 1 }
    let last = buffer.loadUnaligned(fromByteOffset: 99 * 256, as: UInt64.self)
    if last != UInt64(numbers[first + 99]) { wrong += 1 }
  }
  return (times, wrong)
}

func puts(
  _ engine: any Engine, keys: Int, threads: Int, batch: Int, seconds: Double
) -> Double {
  let end = now() + UInt64(seconds * 1e9)
  let counts = UnsafeMutablePointer<Int>.allocate(capacity: threads)
  counts.initialize(repeating: 0, count: threads)
  defer { counts.deallocate() }
  nonisolated(unsafe) let results = counts
  let elapsed = onThreads(threads) { index in
    var key = [UInt8](repeating: 0, count: Workload.keyBytes)
    var number = index * 7919
    var done = 0
    let value = Workload.row(1)
    while now() < end {
      engine.put(
        (0..<batch).map { _ in
          number = (number &* 31 &+ 12_345) % keys
          Workload.writeKey(number, into: &key)
          return (key, value)
        })
      done += batch
    }
    results[index] = done
  }
  return Double((0..<threads).reduce(0) { $0 + counts[$1] }) / elapsed
}

/// The disk's own rate: writes of 256 bytes into zero-filled space, each followed by fdatasync.
func rawSyncsPerSecond(_ path: String) -> Double {
  let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
  let zeros = [UInt8](repeating: 0, count: 4 << 20)
  _ = zeros.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
  fsync(descriptor)
  let block = [UInt8](repeating: 7, count: 256)
  let start = now()
  let count = 3000
  for index in 0..<count {
    _ = block.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, 256, off_t(index * 256)) }
    fdatasync(descriptor)
  }
  let rate = Double(count) / (Double(now() - start) / 1e9)
  close(descriptor)
  unlink(path)
  return rate
}

func remove(_ path: String) {
  var pid = pid_t()
  var words: [UnsafeMutablePointer<CChar>?] = [
    strdup("rm"), strdup("-rf"), strdup(path), nil,
  ]
  posix_spawnp(&pid, "rm", nil, nil, &words, environ)
  var status: Int32 = 0
  waitpid(pid, &status, 0)
}

remove(directory)
mkdir(directory, 0o700)
let workload = Workload(count: keyCount)
print("\(keyCount) keys of \(Workload.keyBytes) bytes, rows of \(Workload.rowBytes) bytes")

// Reading.
let ours = try OurEngine(directory + "/ours", isDurable: false)
let lmdb = LMDBEngine(directory + "/lmdb", isDurable: false)
let rocksdb = RocksDBEngine(directory + "/rocksdb", isDurable: false)
let engines: [(name: String, engine: any Engine)] = [
  ("fstore", ours), ("LMDB", lmdb), ("RocksDB", rocksdb),
]
for (name, engine) in engines {
  let seconds = fill(engine, keyCount)
  row("\(name): load, batches of 1000", "\(rounded(Double(keyCount) / seconds / 1e6)) M records/s")
}
rocksdb.compact()
let statistics = ours.store.statistics
row(
  "fstore: index",
  "\(rounded(Double(statistics.indexBytes) / Double(statistics.indexedKeys))) bytes a key")
for distribution in ["uniform", "zipf"] {
  let numbers =
    distribution == "uniform" ? workload.uniform(600_000, seed: 5) : workload.zipf(600_000, seed: 5)
  for (name, engine) in engines {
    _ = gets(engine, Array(numbers.prefix(200_000)), isTimed: false)
    let (times, wrong) = gets(engine, numbers, isTimed: true)
    let figures = Percentiles(times)
    row(
      "\(name): get, \(distribution)",
      "p50 \(rounded(figures.median / 1e3)) us, p99 \(rounded(figures.p99 / 1e3)) us, p999 "
        + "\(rounded(figures.p999 / 1e3)) us" + (wrong > 0 ? ", WRONG \(wrong)" : ""))
  }
  for threads in [1, 2] {
    for (name, engine) in engines {
      let perThread = (0..<threads).map { Array(numbers.dropFirst($0 * 1000)) }
      let seconds = onThreads(threads) { _ = gets(engine, perThread[$0], isTimed: false) }
      let total = perThread.reduce(0) { $0 + $1.count }
      row(
        "\(name): get, \(distribution), \(threads) threads",
        "\(rounded(Double(total) / seconds / 1e6)) M/s")
    }
  }
  for (name, engine) in engines {
    let (times, wrong) = batches(engine, numbers)
    let figures = Percentiles(times)
    row(
      "\(name): 100 keys, \(distribution)",
      "p50 \(rounded(figures.median / 1e3)) us, p99 \(rounded(figures.p99 / 1e3)) us"
        + (wrong > 0 ? ", WRONG \(wrong)" : ""))
  }
}
for (name, engine) in engines {
  row(
    "\(name): put not synced, batches of 1000",
    "\(rounded(puts(engine, keys: keyCount, threads: 1, batch: 1000, seconds: 2) / 1e6)) M records/s"
  )
}
for (_, engine) in engines { engine.close() }
do {
  let start = now()
  let again = try OurEngine(directory + "/ours", isDurable: true)
  row("fstore: open", "\(rounded(Double(now() - start) / 1e9)) s")
  again.close()
}

// Durable writing.
let durable: [(name: String, engine: any Engine)] = [
  ("fstore", try OurEngine(directory + "/ours-sync", isDurable: true)),
  ("LMDB", LMDBEngine(directory + "/lmdb-sync", isDurable: true)),
  ("RocksDB", RocksDBEngine(directory + "/rocksdb-sync", isDurable: true)),
]
for (threads, batch) in [(1, 1), (32, 1), (32, 16)] {
  row("disk: write and sync", "\(rounded(rawSyncsPerSecond(directory + "/raw"), 0))/s")
  for (name, engine) in durable {
    row(
      "\(name): durable put, \(threads) x \(batch)",
      "\(rounded(puts(engine, keys: keyCount, threads: threads, batch: batch, seconds: 2), 0)) records/s"
    )
  }
}
for (_, engine) in durable { engine.close() }
remove(directory)
