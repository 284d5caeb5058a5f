import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

// Frames of the log, the index over it and its checkpoint, beside the simplest models.

private func randomOptions(_ generator: inout SeededGenerator) -> WriteAheadLogOptions {
  var options = WriteAheadLogOptions()
  options.segmentCapacityBytes = 8192 << generator.below(4)
  options.preparesSegments = false
  return options
}

/// A log of random appends, closed; with its records.
private struct SampleLog {
  let files = SimulatedFileSystem()
  let options: WriteAheadLogOptions
  var records: [(lsn: LogSequenceNumber, payload: [UInt8])] = []
  var positions: [LogPosition] = []

  init(_ generator: inout SeededGenerator, appends: Int) throws {
    options = randomOptions(&generator)
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    var next: LogSequenceNumber = 1
    for _ in 0..<appends {
      if generator.oneIn(20) {
        let count = Int64(1 + generator.below(1000))
        let lsns = try log.reserve(count)
        try require(lsns == next...next + count - 1, "reserved \(lsns), not from \(next) on")
        next += count
        continue
      }
      let payloads = (0...generator.below(12)).map { _ -> [UInt8] in
        let size = generator.oneIn(30) ? generator.below(6000) : generator.below(120)
        return [UInt8](repeating: UInt8(generator.below(256)), count: size)
      }
      let receipt = try log.append(LogRecords(payloads))
      try require(receipt.lsns.lowerBound == next, "\(receipt.lsns), not from \(next) on")
      for payload in payloads {
        records.append((next, payload))
        next += 1
      }
      positions += receipt.positions
    }
    try log.close()
  }
}

extension RawSpan {
  fileprivate func isEqual(_ bytes: [UInt8]) -> Bool {
    withUnsafeBytes { $0.elementsEqual(bytes) }
  }
}

/// Every record is replayed once, in order, where its receipt said; and found from any LSN on.
func checkFrames(_ generator: inout SeededGenerator) throws -> Int {
  let sample = try SampleLog(&generator, appends: 40)
  for isReadOnly in [true, false] {
    var options = sample.options
    options.isReadOnly = isReadOnly
    let log = try WriteAheadLog.open(
      directory: "/log", fileSystem: sample.files, options: options)
    let start = isReadOnly ? 0 : generator.below(sample.records.count + 1)
    var index = start
    var isRight = true
    let from = start < sample.records.count ? sample.records[start].lsn : log.readableLSN + 1
    try log.replay(from: from) { lsn, position, payload in
      guard index < sample.records.count else {
        isRight = false
        return false
      }
      let expected = sample.records[index]
      isRight =
        expected.lsn == lsn && sample.positions[index] == position
        && payload.isEqual(expected.payload)
      index += 1
      return isRight
    }
    try require(isRight && index == sample.records.count, "record \(index) from \(from) on")
    for _ in 0..<min(8, sample.records.count) {
      let chosen = generator.below(sample.records.count)
      let isSame = try log.read(at: sample.positions[chosen]) {
        $0 == sample.records[chosen].lsn && $1.isEqual(sample.records[chosen].payload)
      }
      try require(isSame, "record \(chosen) alone")
    }
    try log.close()
  }
  return sample.records.count
}

/// A changed bit is found, or changes nothing.
func checkDamagedFrames(_ generator: inout SeededGenerator) throws -> Int {
  let sample = try SampleLog(&generator, appends: 12)
  let paths = sample.files.paths.filter { !$0.hasSuffix("LOCK") }
  let cases = 16
  for _ in 0..<cases {
    let path = paths[generator.below(paths.count)]
    guard var bytes = sample.files.bytes(of: path), !bytes.isEmpty else { continue }
    bytes[generator.below(bytes.count)] ^= 1 << UInt8(generator.below(8))
    let disk = sample.files.restarted()
    disk.overwrite(path, with: bytes)
    do {
      let log = try WriteAheadLog.open(
        directory: "/log", fileSystem: disk, options: sample.options)
      var index = 0
      var isRight = true
      try log.replay(from: 1) { lsn, _, payload in
        isRight =
          isRight && index < sample.records.count && sample.records[index].lsn == lsn
          && payload.isEqual(sample.records[index].payload)
        index += 1
        return isRight
      }
      try require(
        isRight && index == sample.records.count, "a changed bit in \(path) changes record \(index)"
      )
    } catch is WriteAheadLogError {}
  }
  return cases
}

/// The store beside a dictionary: each operation is a case, and so is what its key answers after it.
func checkIndex(_ generator: inout SeededGenerator) throws -> Int {
  let files = SimulatedFileSystem()
  let store = try OnlineStore.open(
    directory: "/log", fileSystem: files, clock: FixedClock(), options: indexOptions)
  let keyCount = 1 << (1 + generator.below(11))
  var model: [[UInt8]: (eventTime: Int64, row: [UInt8]?)] = [:]
  var operations = 0
  func key() -> [UInt8] {
    let number = generator.below(keyCount)
    // Of several lengths: eight bytes and fewer and more are hashed differently.
    return [UInt8](repeating: 1, count: number % 23) + [UInt8(number & 255), UInt8(number >> 8)]
  }
  while operations < 1000 {
    var changed: [[UInt8]] = []
    if generator.oneIn(12) {
      let key = key()
      try store.purge(groupID: 1, key: key)
      model[key] = nil
      changed = [key]
    } else {
      var entries: [LogEntry] = []
      for _ in 0...generator.below(16) {
        let isPut = !generator.oneIn(6)
        let entry = LogEntry(
          isPut ? .put : .tombstone, groupID: 1, eventTime: Int64(generator.below(20)), key: key(),
          row: isPut ? [UInt8(generator.below(256))] : [])
        entries.append(entry)
        let current = model[entry.key]?.eventTime ?? .min
        if entry.eventTime >= current {
          model[entry.key] = (entry.eventTime, isPut ? entry.row : nil)
        }
      }
      _ = try store.append(entries)
      changed = entries.map(\.key)
    }
    for key in changed + [key()] {
      let found = try store.get(groupID: 1, key: key)
      let expected = model[key]
      try require(
        found?.entry.eventTime == expected?.eventTime
          && (found?.isTombstone == true ? nil : found?.entry.row) == expected?.row
          && (found == nil) == (expected == nil),
        "\(key) answers \(String(describing: found)), not \(String(describing: expected))")
    }
    operations += changed.count
  }
  let keys = store.statistics.groups[1].map { $0.liveKeys + $0.deletedKeys } ?? 0
  try require(keys == model.count, "\(keys) keys are counted, \(model.count) are there")
  try store.close()
  return operations
}

private var indexOptions: OnlineStoreOptions {
  var options = OnlineStoreOptions()
  options.log.segmentCapacityBytes = 1 << 17
  options.log.preparesSegments = false
  options.checkpointIntervalBytes = 1 << 40
  return options
}

/// A checkpoint brings back the index as it was: every answer and every count; and so does the log alone.
func checkCheckpoints(_ generator: inout SeededGenerator) throws -> Int {
  let files = SimulatedFileSystem()
  let store = try OnlineStore.open(
    directory: "/log", fileSystem: files, clock: FixedClock(), options: indexOptions)
  let keyCount = 1 + generator.below(300)
  func append(_ count: Int) throws {
    guard count > 0 else { return }
    let entries = (0..<count).map { _ in
      LogEntry(
        generator.oneIn(8) ? .tombstone : .put, groupID: UInt32(1 + generator.below(3)),
        eventTime: Int64(generator.below(9)), key: [UInt8(generator.below(keyCount) & 255)], row: []
      )
    }
    _ = try store.append(entries)
  }
  try append(generator.below(300))
  let covered = try store.checkpoint()
  try append(generator.below(20))
  if generator.oneIn(3) { try store.purge(groupID: 1, key: [UInt8(generator.below(256))]) }
  try store.close()
  let disk = files.restarted()
  if generator.oneIn(4) { _ = try disk.removeFile("/log/INDEX") }
  let again = try OnlineStore.open(
    directory: "/log", fileSystem: disk, clock: FixedClock(), options: indexOptions)
  try require(covered <= again.log.readableLSN, "the checkpoint covers what is not there")
  try require(again.statistics.groups == store.statistics.groups, "other counts")
  try require(again.statistics.liveBytes == store.statistics.liveBytes, "other live bytes")
  for group in 1...3 as ClosedRange<UInt32> {
    for key in 0...255 as ClosedRange<UInt8> {
      let (before, after) = (
        try store.get(groupID: group, key: [key]), try again.get(groupID: group, key: [key])
      )
      try require(before == after, "key \(key) of group \(group)")
    }
  }
  try again.close()
  return 1
}
