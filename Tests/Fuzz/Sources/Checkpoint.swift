import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// A checkpoint of the index whose bytes are not what was written. Where its checksums are not right it
/// must not be believed at all: every key answers as the log says. Where they are (a checksum is no
/// signature) keys may be missing, and nothing else: no crash, and no record of another key.
func fuzzCheckpoint(_ bytes: [UInt8]) {
  var input = Input(bytes)
  let flags = input.byte()
  var index = Sample.shared.index
  while !input.isAtEnd { edit(&index, &input) }
  let isForged = flags & 1 != 0 && forge(&index)
  let disk = Sample.shared.disk.restarted()
  disk.overwrite(Sample.path, with: index)
  var options = StoreModel.options
  options.log.isReadOnly = flags & 2 == 0
  do {
    let store = try OnlineStore.open(
      directory: "/log", fileSystem: disk, clock: FixedClock(), options: options)
    for key in 0..<Sample.keyCount {
      let found: StoredEntry?
      do throws(OnlineStoreError) {
        found = try store.get(groupID: 7, key: [key])
      } catch {
        require(isForged, "key \(key): \(error)")
        continue
      }
      if isForged {
        if let found { require(found.entry.key == [key], "\(key) answers \(found.entry.key)") }
      } else {
        require(found == Sample.shared.answers[key], "key \(key): \(found as Any)")
      }
    }
    if !options.log.isReadOnly {
      do { _ = try store.append([Sample.entry(3, eventTime: 100)]) } catch {
        require(isForged, "\(error)")
      }
      _ = store.statistics
      _ = try? store.inspect()
      do { try store.close() } catch { require(isForged, "\(error)") }
    }
  } catch { require(isForged, "\(error)") }
}

/// A store of a few segments with a checkpoint, and records after it.
private struct Sample {
  static let path = "/log/INDEX"
  static let keyCount: UInt8 = 24
  static let shared: Sample = {
    do { return try Sample() } catch { fail("\(error)") }
  }()

  let disk: SimulatedFileSystem
  let index: [UInt8]
  var answers: [UInt8: StoredEntry] = [:]

  static func entry(_ key: UInt8, eventTime: Int64) -> LogEntry {
    LogEntry(
      .put, groupID: 7, eventTime: eventTime, key: [key],
      row: [UInt8](repeating: key, count: 200))
  }

  init() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    for key in 0..<Sample.keyCount { _ = try store.append([Sample.entry(key, eventTime: 1)]) }
    try store.purge(groupID: 7, key: [5])
    _ = try store.append([LogEntry(.tombstone, groupID: 7, eventTime: 2, key: [6])])
    try store.checkpoint()
    _ = try store.append([Sample.entry(1, eventTime: 2), Sample.entry(2, eventTime: 0)])
    for key in 0..<Sample.keyCount { answers[key] = try store.get(groupID: 7, key: [key]) }
    try store.close()
    disk = files.restarted()
    index = files.bytes(of: Sample.path) ?? []
    require(!index.isEmpty, "there is a checkpoint")
  }
}

private func edit(_ index: inout [UInt8], _ input: inout Input) {
  func place(_ size: Int) -> Int { index.count < size ? 0 : input.below(index.count - size + 1) }
  let numbers: [UInt64] = [0, 1, 2, .max, 1 << 63, 1 << 32, (1 << 32) | 512, 2 << 32, 1 << 60]
  switch input.byte() % 8 {
  case 0 where !index.isEmpty: index[place(1)] ^= 1 << (input.byte() & 7)
  case 1 where !index.isEmpty: index[place(1)] = input.byte()
  case 2 where index.count >= 4: index.storeLittleEndian(input.integer(UInt32.self), at: place(4))
  case 3 where index.count >= 8: index.storeLittleEndian(input.integer(UInt64.self), at: place(8))
  case 4 where index.count >= 8:
    let number = numbers[input.below(numbers.count)]
    index.storeLittleEndian(number, at: place(8) & ~7)
  case 5: index.removeLast(min(index.count, input.below(4096)))
  case 6: index += input.bytes(1 + input.below(40))
  default:
    // An entry more, or bytes less, in the middle.
    let start = place(0)
    if input.byte() & 1 == 0 {
      index.insert(contentsOf: input.bytes(16), at: start)
    } else {
      index.removeSubrange(start..<min(index.count, start + 16))
    }
  }
}

/// Makes every checksum right, as long as the lengths allow it. Returns whether it is another file then.
private func forge(_ index: inout [UInt8]) -> Bool {
  forgeChecksums(ofCheckpoint: &index)
  return index != Sample.shared.index
}
