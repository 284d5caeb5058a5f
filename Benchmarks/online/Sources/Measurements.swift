import FeatureModel
import Glibc

// What is measured, the same calls for every engine: each get copies the 200 bytes of the row into the
// caller's buffer, and every answer is checked.

/// Puts all keys, 1000 a batch; the seconds that the calls took.
func fill(_ engine: any Engine, _ keyCount: Int) -> Double {
  var taken: UInt64 = 0
  for first in stride(from: 0, to: keyCount, by: 1000) {
    let records = (first..<min(first + 1000, keyCount)).map { Workload.record($0) }
    let start = now()
    engine.put(records)
    taken += now() - start
  }
  return Double(taken) / 1e9
}

/// Ends the benchmark when an engine answered with something else than was put.
private func check(_ isRight: Bool, _ engine: any Engine) {
  guard isRight else { fatalError("\(engine.name) gave a wrong answer") }
}

/// Gets one by one; the nanoseconds of each, empty unless timed.
func gets(_ engine: any Engine, _ numbers: ArraySlice<Int>, isTimed: Bool) -> [UInt64] {
  var times: [UInt64] = []
  if isTimed { times.reserveCapacity(numbers.count) }
  var key = [UInt8](repeating: 0, count: Workload.keyBytes)
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)
  defer { buffer.deallocate() }
  for number in numbers {
    Workload.writeKey(number, into: &key)
    let start = isTimed ? now() : 0
    let count = engine.get(key, into: buffer)
    if isTimed { times.append(now() - start) }
    check(count == Workload.rowBytes && buffer.load(as: UInt64.self) == UInt64(number), engine)
  }
  return times
}

/// Gets by hundreds; the nanoseconds of each batch.
func batches(_ engine: any Engine, _ numbers: ArraySlice<Int>) -> [UInt64] {
  var times: [UInt64] = []
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 101, alignment: 16)
  defer { buffer.deallocate() }
  var key = [UInt8](repeating: 0, count: Workload.keyBytes)
  for first in stride(from: numbers.startIndex, to: numbers.endIndex - 99, by: 100) {
    var keys = EncodedRows()
    for number in numbers[first..<first + 100] {
      Workload.writeKey(number, into: &key)
      keys.append(key)
    }
    let start = now()
    let count = engine.getBatch(keys, into: buffer)
    times.append(now() - start)
    check(count == 100 * Workload.rowBytes, engine)
    for index in 0..<100 {
      let found = buffer.loadUnaligned(fromByteOffset: index * 256, as: UInt64.self)
      check(found == UInt64(numbers[first + index]), engine)
    }
  }
  return times
}

struct PutFigures {
  var recordsPerSecond: Double
  /// Of single calls, in nanoseconds.
  var latency: Percentiles
}

/// Puts from so many threads until the time is over. The records, about 256,000 of random keys, are made
/// before; a thread that comes to its end begins again.
func puts(
  _ engine: any Engine, keys: Int, threads: Int, batch: Int, seconds: Double
) -> PutFigures {
  let batchCount = max(64, 256_000 / (threads * batch))
  var random = UInt64(threads * 1000 + batch)
  let made = (0..<threads).map { _ in
    (0..<batchCount).map { _ in
      (0..<batch).map { _ in
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Workload.record(Int((random >> 33) % UInt64(keys)))
      }
    }
  }
  let times = UnsafeMutablePointer<[UInt64]>.allocate(capacity: threads)
  times.initialize(repeating: [], count: threads)
  defer {
    times.deinitialize(count: threads)
    times.deallocate()
  }
  nonisolated(unsafe) let results = times
  let length = UInt64(seconds * 1e9)
  let elapsed = onThreads(threads) { index in
    let mine = made[index]
    var taken: [UInt64] = []
    let begin = now()
    var start = begin
    while start - begin < length {
      engine.put(mine[taken.count % mine.count])
      let end = now()
      taken.append(end - start)
      start = end
    }
    results[index] = taken
  }
  let all = (0..<threads).flatMap { times[$0] }
  return PutFigures(
    recordsPerSecond: Double(all.count * batch) / elapsed, latency: Percentiles(all))
}

/// The disk's own: writes of 256 bytes into zero-filled space, each followed by fdatasync; nanoseconds.
func rawSyncs(_ path: String) -> [UInt64] {
  let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
  let zeros = [UInt8](repeating: 0, count: 1 << 20)
  _ = zeros.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
  fsync(descriptor)
  let block = [UInt8](repeating: 7, count: 256)
  var times: [UInt64] = []
  for index in 0..<2000 {
    let start = now()
    _ = block.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, 256, off_t(index * 256)) }
    fdatasync(descriptor)
    times.append(now() - start)
  }
  close(descriptor)
  unlink(path)
  return times
}

/// Bytes read and written per second by copying memory, on one core.
func memoryBandwidth() -> Double {
  let size = 256 << 20
  let from = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
  let to = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
  defer {
    from.deallocate()
    to.deallocate()
  }
  memset(from, 1, size)
  memset(to, 2, size)
  let best = (0..<5).map { _ in
    let start = now()
    memcpy(to, from, size)
    return now() - start
  }.min()
  return Double(2 * size) / (Double(best ?? 1) / 1e9)
}
