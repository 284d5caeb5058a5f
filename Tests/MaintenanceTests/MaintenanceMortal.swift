import Columnar
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// A process that does one thing to a table, again and again, until it is killed; several do so at once, without the
/// lease that would keep them apart. What it was told it notes in a file that outlives it.
///
/// `- ID...` before an append, `a ID...` when it is acknowledged; `~ ID` before a delete, `d ID` when it is.
struct MaintenanceMortal {
  enum Role: String, CaseIterable, Sendable {
    case append, delete, optimize, metadata, expire, orphans
  }

  static let roles: [Role] = [
    .append, .append, .delete, .optimize, .optimize, .metadata, .expire, .orphans,
  ]

  let folder: String
  let role: Role
  let seed: UInt64

  static func open(_ folder: String) throws -> SQLiteCatalog {
    try SQLiteCatalog(
      databasePath: folder + "/catalog.db", name: "test", warehouse: folder + "/warehouse",
      io: try FileIO(fileSystem: POSIXFileSystem()), clock: SystemClock())
  }

  static func load(_ folder: String) throws -> Table {
    try open(folder).loadTable(try TableIdentifier("db.t"))
  }

  static func prepare(_ fixture: MaintenanceFixture) throws {
    _ = try fixture.table(
      properties: [
        "write.delete.mode": "merge-on-read", "commit.retry.num-retries": "50",
        "commit.retry.min-wait-ms": "1", "commit.retry.max-wait-ms": "20",
        "write.delete.isolation-level": "snapshot", "commit.manifest.min-count-to-merge": "6",
      ],
      spec: PartitionSpec(fields: [
        PartitionField(sourceID: 1, fieldID: 1000, name: "id_bucket", transform: .bucket(2))
      ]))
  }

  func live() {
    var random = SeededGenerator(seed: seed)
    let notes = Notes(folder + "/notes-\(seed)-\(role)")
    Death(delayMicroseconds: UInt32(30_000 + random.below(700_000)), disk: nil).arm(notes)
    Death.guarded(notes) {
      let table = try Self.load(folder)
      while true {
        // Who comes second begins anew, as the errors say.
        do { try perform(table, notes, &random) } catch let error as IcebergError
          where [.validationFailed, .notFound, .commitConflict].contains(error.kind)
        {
          usleep(2000)
        }
      }
    }
  }

  private func perform(
    _ old: Table, _ notes: Notes, _ random: inout SeededGenerator
  ) throws {
    let table = try old.refresh()
    switch role {
    case .append:
      // Nobody else who works with this table has this seed.
      let ids = (0..<(1 + random.below(6))).map { _ in
        Int64(seed & 0x3FF) << 20 | Int64(random.below(1 << 20))
      }
      let text = ids.map(String.init).joined(separator: " ")
      notes.note("- " + text)
      _ = try table.newAppend(try table.writeFiles([ids])).commit()
      notes.note("a " + text)
    case .delete:
      let ids = try Self.ids(table)
      guard !ids.isEmpty else {
        usleep(5000)
        return
      }
      let id = ids[random.below(ids.count)]
      notes.note("~ \(id)")
      _ = try table.deleteRows(where: .comparison("id", .equal, .long(id)))
      notes.note("d \(id)")
    case .optimize:
      let choices: [[String: String]] = [
        [:], ["rewrite-all": "true"], ["sort-order": "id DESC", "rewrite-all": "true"],
        ["z-order": "id,ts", "rewrite-all": "true"], ["delete-file-threshold": "1"],
      ]
      var options = choices[random.below(choices.count)]
      options["min-input-files"] = "2"
      let job = try RewriteDataFiles(
        table, options: RewriteDataFilesOptions(options, tableProperties: table.properties))
      let result = try job.execute(try job.plan())
      if let unknown = result.unknownCommit { throw unknown }
    case .metadata:
      if random.oneIn(2) {
        let job = RewriteManifests(table)
        _ = try job.execute(try job.plan())
      } else {
        let job = RewritePositionDeleteFiles(
          table, options: try .init(["min-input-files": "2"], tableProperties: table.properties))
        let result = try job.execute(try job.plan())
        for failure in result.failures where ![.validationFailed, .notFound].contains(failure.kind)
        {
          throw failure
        }
      }
    case .expire:
      var options = VacuumOptions()
      options.olderThanMilliseconds = .max
      options.retainLast = Int64(1 + random.below(4))
      options.removesOrphans = false
      try Self.vacuum(table, options)
    case .orphans:
      // What an earlier life of somebody may have left, and nobody needs.
      let path = try Location.path(of: table.location)
      // Nobody may have written data yet.
      try FileManager.default.createDirectory(
        atPath: path + "/data", withIntermediateDirectories: true)
      for name in ["/data/old-\(random.next()).parquet", "/metadata/old-\(random.next()).avro"] {
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: path + name))
        try FileManager.default.setAttributes(
          [.modificationDate: Date(timeIntervalSinceNow: -5 * 86_400)], ofItemAtPath: path + name)
      }
      var options = VacuumOptions()
      options.expiresSnapshots = random.oneIn(2)
      options.olderThanMilliseconds = .max
      options.retainLast = 3
      try Self.vacuum(table, options)
    }
  }

  private static func vacuum(_ table: Table, _ options: VacuumOptions) throws {
    let vacuum = Vacuum(table, options: options)
    let result = try vacuum.execute(try vacuum.plan())
    if let failure = result.failure { throw failure }
  }

  static func ids(_ table: Table) throws -> [Int64] {
    var scan = table.newScan()
    scan.columns = ["id"]
    var ids: [Int64] = []
    let batches = try scan.batches(threads: 1)
    while let batch = try batches.next() {
      let column = batch.columns[0]
      let values = column.values(as: Int64.self)
      for row in 0..<batch.rowCount { ids.append(values[row]) }
    }
    return ids
  }

  // MARK: Afterwards

  /// Every row once that is to be there, none that is not, and every file of every snapshot.
  static func check(_ folder: String, _ round: String) throws -> (rows: Int, snapshots: Int) {
    let table = try load(folder)
    let found = try ids(table)
    var (tried, appended): (Set<Int64>, Set<Int64>) = ([], [])
    var (wanted, deleted): (Set<Int64>, Set<Int64>) = ([], [])
    for name in try FileManager.default.contentsOfDirectory(atPath: folder)
    where name.hasPrefix("notes-") {
      let finding = Notes.finding(folder + "/" + name)
      #expect(finding == nil, "\(round): \(name)")
      guard !name.hasSuffix(Notes.findingSuffix) else { continue }
      for line in Notes.read(folder + "/" + name) {
        let ids = line.dropFirst().compactMap { Int64($0) }
        switch line.first {
        case "-": tried.formUnion(ids)
        case "a": appended.formUnion(ids)
        case "~": wanted.formUnion(ids)
        default: deleted.formUnion(ids)
        }
      }
    }
    let rows = Set(found)
    #expect(rows.count == found.count, "\(round): rows are doubled")
    #expect(rows.isSubset(of: tried), "\(round): rows that nobody wrote")
    #expect(rows.isDisjoint(with: deleted), "\(round): deleted rows came back")
    let lost = appended.subtracting(wanted).subtracting(rows)
    #expect(lost.isEmpty, "\(round): \(lost.count) rows are lost")
    let contents = try TableContents(metadataLocation: table.metadataLocation, io: table.io)
    let missing = contents.files.filter { !FileManager.default.fileExists(atPath: $0.path) }
    #expect(missing.isEmpty, "\(round): \(missing)")
    return (found.count, table.metadata.snapshots.count)
  }

  /// When nobody works any more, what is there afterwards is what the table needs.
  static func checkNothingIsLeftOver(_ folder: String) throws {
    let table = try load(folder)
    guard case .acquired(let lease) = try MaintenanceLease.acquire(table, holder: "test") else {
      Issue.record("the lease of a dead process is held")
      return
    }
    let before = try ids(table).sorted()
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = 1
    options.orphanAgeMilliseconds = 0
    options.leaseBelowFloor = lease
    // The first one leaves a metadata file alone that is newer than the catalog's, for that could be behind; by the
    // second one's time it is not newer any more.
    for _ in 0..<2 { try vacuum(table, options) }
    let now = try table.refresh()
    #expect(try ids(now).sorted() == before)
    let contents = try TableContents(metadataLocation: now.metadataLocation, io: now.io)
    let root = try Location.path(of: now.location)
    var needed = Set(contents.files.map(\.path))
    for entry in now.metadata.metadataLog {
      needed.insert(try Location.path(of: entry.metadataFile))
    }
    needed.insert(root + "/metadata/version-hint.text")
    var there: Set<String> = []
    for part in ["data", "metadata"] {
      for case let name as String in FileManager.default.enumerator(atPath: root + "/" + part)! {
        var isDirectory: ObjCBool = false
        let path = "\(root)/\(part)/\(name)"
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        if !isDirectory.boolValue { there.insert(path) }
      }
    }
    let difference = there.symmetricDifference(needed)
    #expect(difference.isEmpty)
  }
}
