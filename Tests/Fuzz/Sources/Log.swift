import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// Bytes as the segments of a log. What is shown must be what a second, slow reading of the bytes finds,
/// in order and without a hole; a log that was opened stays as it is, whatever comes next.
func fuzzLog(_ bytes: [UInt8]) {
  var input = Input(bytes)
  let log = ForgedLog(&input)
  do {
    if log.flags.contains(.reader) { try read(log) }
    try write(log)
    if log.flags.contains(.entries) { openStore(log) }
  } catch { fail("\(error)") }
}

typealias Shown = [(lsn: Int64, payload: [UInt8])]

func smallSegments(isReadOnly: Bool) -> WriteAheadLogOptions {
  var options = WriteAheadLogOptions()
  options.segmentCapacityBytes = 8192
  options.preparesSegments = false
  options.isReadOnly = isReadOnly
  return options
}

func contents(_ log: WriteAheadLog) throws -> Shown {
  var shown: Shown = []
  var places: [LogPosition] = []
  try log.replay(from: log.firstLSN) { lsn, position, payload in
    shown.append((lsn, payload.bytes))
    places.append(position)
    return true
  }
  for (record, place) in zip(shown, places) {
    let isSame = try log.read(at: place) { lsn, payload in
      lsn == record.lsn && payload.bytes == record.payload
    }
    require(isSame, "LSN \(record.lsn) is another when it is read alone")
  }
  return shown
}

func isPrefix(_ part: Shown, of whole: Shown) -> Bool {
  part.count <= whole.count && zip(part, whole).allSatisfy { $0 == $1 }
}

/// Opens beside a writer: a prefix, or an error.
private func read(_ forged: ForgedLog) throws {
  let log: WriteAheadLog
  do throws(WriteAheadLogError) {
    log = try WriteAheadLog.open(
      directory: "/log", fileSystem: forged.files.restarted(),
      options: smallSegments(isReadOnly: true))
  } catch { return expectDamage(error, forged) }
  let shown: Shown
  do { shown = try contents(log) } catch let error as WriteAheadLogError {
    return expectDamage(error, forged)
  }
  require(isPrefix(shown, of: forged.records), "a reader sees what is not there")
  _ = try log.verify()
  _ = try? log.refresh()
}

private func write(_ forged: ForgedLog) throws {
  let disk = forged.files.restarted()
  let log: WriteAheadLog
  do throws(WriteAheadLogError) {
    log = try WriteAheadLog.open(
      directory: "/log", fileSystem: disk, options: smallSegments(isReadOnly: false))
  } catch { return expectDamage(error, forged) }
  let shown = try contents(log)
  require(
    shown.count == forged.records.count && isPrefix(shown, of: forged.records),
    "\(shown.count) records of \(forged.records.count), or others")
  let report = try log.verify()
  require(report.damages.isEmpty || forged.flags.contains(.edits), "\(report.damages)")
  var expected = shown
  do throws(WriteAheadLogError) {
    let receipt = try log.append(LogRecords([[1, 2, 3], []]))
    expected.append((receipt.lsns.lowerBound, [1, 2, 3]))
    expected.append((receipt.lsns.upperBound, []))
  } catch {
    require(forged.isAtTheEnd, "an opened log takes records: \(error)")
  }
  require(isPrefix(try contents(log), of: expected), "an append changed the log")
  for next in [disk.restarted(), disk.crashed(seed: 1)] {
    let again = try WriteAheadLog.open(
      directory: "/log", fileSystem: next, options: smallSegments(isReadOnly: false))
    let found = try contents(again)
    require(
      found.count == expected.count && isPrefix(found, of: expected), "the next opening differs")
  }
}

/// The same log as a store's: whatever its entries say, it opens or throws.
private func openStore(_ forged: ForgedLog) {
  var options = OnlineStoreOptions()
  options.log = readerOptions
  do {
    let store = try OnlineStore.open(
      directory: "/log", fileSystem: forged.files.restarted(), clock: FixedClock(),
      options: options)
    _ = try? store.inspect()
    for record in forged.records {
      guard let entry = LogEntry(decoding: record.payload.rawSpan) else { continue }
      let found = try? store.get(groupID: entry.groupID, key: entry.key)
      if let found { require(found.entry.key == entry.key, "another key answers") }
    }
    _ = store.statistics
  } catch {}
}

private let readerOptions = smallSegments(isReadOnly: true)

/// Errors say that the log is damaged, nothing else; and a log without damage opens.
private func expectDamage(_ error: WriteAheadLogError, _ forged: ForgedLog) {
  require(!forged.isWhole, "a log without damage is refused: \(error)")
  if case .corrupt = error { return }
  fail("\(error)")
}

extension RawSpan {
  var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
