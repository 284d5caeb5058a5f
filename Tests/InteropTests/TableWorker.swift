import Foundation
import Iceberg
import JSON
import Storage
import TestSupport

/// What one process of several does to a table: so many operations, each noted when it is acknowledged, with
/// the snapshot that it made. Its notes outlive it.
///
/// `a SNAPSHOT ID...` appended rows, `o SNAPSHOT OLD NEW` a row put in the place of another, `d SNAPSHOT ID...`
/// deleted rows, `c` a compaction that did something, `x SNAPSHOT PARENT SEQUENCE OPERATION` a snapshot that
/// was expired.
struct TableWorker {
  enum Role: String, CaseIterable, Sendable { case append, overwrite, delete, compact, expire }

  static let rowsPerWriter: Int64 = 1000
  /// Whose rows overwriters and deleters look for.
  static let appenderCount = 4

  let folder: String
  let role: Role
  let number: Int
  let operationCount: Int
  private let notes: Notes
  private let catalog: SQLiteCatalog
  private var generator: SeededGenerator

  static func notesPath(_ folder: String, _ number: Int) -> String { folder + "/notes-\(number)" }

  init(_ folder: String, role: Role, number: Int, operationCount: Int) throws {
    self.folder = folder
    self.role = role
    self.number = number
    self.operationCount = operationCount
    notes = Notes(Self.notesPath(folder, number))
    catalog = try InteropFixture.open(folder)
    generator = SeededGenerator(seed: UInt64(number))
  }

  static func row(_ id: Int64, _ writer: Int) -> JSONValue {
    [.integer(id), .string("writer \(writer)")]
  }

  mutating func run() throws {
    for operation in 0..<operationCount {
      // Who loses against others begins anew, as the errors say.
      var attempts = 0
      while true {
        do {
          try perform(operation)
          break
        } catch let error as IcebergError
          where [.validationFailed, .notFound, .commitConflict].contains(error.kind)
          && attempts < 200
        {
          attempts += 1
        }
      }
    }
  }

  private static let retainedCount = 4

  private func load() throws -> Table { try catalog.loadTable(try TableIdentifier("db.t")) }

  /// Waits for the others, who may start much later on a busy machine, to have made something to work on; a minute
  /// at most.
  private func waitFor(snapshots: Int) throws {
    for _ in 0..<600 where try load().metadata.snapshots.count < snapshots { usleep(100_000) }
  }

  private mutating func perform(_ operation: Int) throws {
    let table = try load()
    let own = Int64(number) * Self.rowsPerWriter + Int64(operation)
    /// A row that may be there, may come, or may be gone.
    let wanted =
      Int64(generator.below(Self.appenderCount)) * Self.rowsPerWriter
      + Int64(generator.below(operationCount))
    switch role {
    case .append:
      let files = try table.writing([Self.row(own, number)])
      note("a", try table.newAppend(files).commit().snapshotID, [own])
    case .overwrite:
      let files = try table.writing([Self.row(own, number)])
      let result = try table.overwriteRows(
        where: .comparison("id", .equal, .long(wanted)), with: files)
      note("o", result.snapshotID, [wanted, own])
    case .delete:
      let result = try table.deleteRows(where: .isIn("id", [.long(wanted), .long(wanted + 1)]))
      note("d", result.snapshotID, [wanted, wanted + 1])
    case .compact:
      if operation == 0 { try waitFor(snapshots: 1) }
      let table = try load()
      let options = try RewriteDataFilesOptions(["rewrite-all": "true"])
      let job = try RewriteDataFiles(table, options: options)
      if try job.execute(try job.plan()).commitCount > 0 { notes.note("c") }
      usleep(100_000)
    case .expire:
      if operation == 0 { try waitFor(snapshots: Self.retainedCount + 1) }
      try expire(try load())
      usleep(150_000)
    }
  }

  private func note(_ kind: String, _ snapshot: Int64?, _ ids: [Int64]) {
    guard let snapshot else { return }
    notes.note("\(kind) \(snapshot) " + ids.map(String.init).joined(separator: " "))
  }

  private func expire(_ table: Table) throws {
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = Int64(Self.retainedCount)
    let vacuum = Vacuum(table, options: options)
    let plan = try vacuum.plan()
    // Noted before they go; more than once does no harm.
    let metadata = try table.refresh().metadata
    for id in plan.expiry?.expiredSnapshotIDs ?? [] {
      guard let snapshot = metadata.snapshot(id: id) else { continue }
      notes.note(
        "x \(id) \(snapshot.parentSnapshotID ?? 0) \(snapshot.sequenceNumber) "
          + (snapshot.operation?.text ?? "none"))
    }
    let result = try vacuum.execute(plan)
    if let failure = result.failure { throw failure }
  }
}
