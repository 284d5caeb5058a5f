import Storage
import TestSupport
import WriteAheadLog

/// Bytes as the segments of a log that is repaired: nothing that can be read before is missing after it,
/// a log without damage stays as it is, and what comes out opens, takes records and opens again.
func fuzzRepair(_ bytes: [UInt8]) {
  var input = Input(bytes)
  let forged = ForgedLog(&input)
  let disk = forged.files.restarted()
  do {
    guard try repair(disk, forged) else { return }
    let log = try WriteAheadLog.open(
      directory: "/log", fileSystem: disk, options: smallSegments(isReadOnly: false))
    let shown = try contents(log)
    require(zip(shown, shown.dropFirst()).allSatisfy { $0.lsn < $1.lsn }, "LSNs out of order")
    if forged.isWhole { require(shown.count == forged.records.count, "a whole log is changed") }
    if !forged.flags.contains(.edits) {
      var rest = shown[...]
      for record in forged.records {
        rest = rest.drop { $0.lsn < record.lsn }
        require(rest.first.map { $0 == record } ?? false, "LSN \(record.lsn) is not salvaged")
      }
    }
    let report = try log.verify()
    require(report.damages.isEmpty || !forged.flags.isDisjoint(with: .edits), "\(report.damages)")
    // A forged frame can say that all LSNs were given.
    if log.lastLSN < (1 << 62) - 4096 { _ = try log.append(LogRecords([[1]])) }
    try log.close()
    let again = try WriteAheadLog.open(
      directory: "/log", fileSystem: disk.restarted(), options: smallSegments(isReadOnly: true))
    require(isPrefix(shown, of: try contents(again)), "the next opening differs")
  } catch { fail("\(error)") }
}

/// False when the log is beyond repair.
private func repair(_ disk: SimulatedFileSystem, _ forged: ForgedLog) throws -> Bool {
  try disk.createDirectory("/aside", withIntermediates: true)
  do throws(WriteAheadLogError) {
    let repair = try LogRepair(
      directory: "/log", fileSystem: disk, store: ForgedLog.store, mustReach: 0)
    defer { repair.release() }
    if repair.isNeeded { try repair.execute(puttingAside: [], in: "/aside") }
    return true
  } catch {
    require(!forged.isWhole, "a log without damage is beyond repair: \(error)")
    if case .corrupt = error { return false }
    fail("\(error)")
  }
}
