import Foundation
import Iceberg
import JSON
import Storage
import TestSupport
import Testing

/// The text of a metadata file is made from the one before it: it must say what the table is, whatever the
/// commit did to the history.
@Suite struct MetadataTextTests {
  private func check(_ table: Table, _ step: String) throws {
    let bytes = try table.io.readAll(table.metadataLocation)
    #expect(try TableMetadata(fileContent: bytes) == table.metadata, "\(step)")
    // Members are in the order in which `json` has them, which is Java's.
    let members = try #require(try JSONValue(parsing: bytes).objectValue)
    let expected = try #require(table.metadata.json.objectValue)
    #expect(Array(members.keys.prefix(expected.count)) == expected.keys, "\(step)")
    for (key, value) in expected.members { #expect(members[key] == value, "\(step): \(key)") }
  }

  @Test func filesSayWhatTheirTablesAre() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(
      properties: ["write.metadata.previous-versions-max": "5"])
    try check(table, "created")
    for number in 0..<12 {
      table = try table.newAppend([fakeFile("a\(number)", in: table)]).commit().table
      try check(table, "append \(number)")
    }
    func change(_ step: String, _ body: (inout TableCommit) -> Void) throws {
      var commit = table.newCommit()
      body(&commit)
      table = try commit.commit().table
      try check(table, step)
    }
    let ids = table.metadata.snapshots.map(\.snapshotID)
    try change("tag") { $0.createTag("t", snapshotID: ids[3]) }
    try change("expire the oldest") { $0.removeSnapshots(Array(ids[..<3])) }
    try change("expire some in between") { $0.removeSnapshots([ids[5], ids[7], ids[8]]) }
    table = try table.newAppend([fakeFile("b", in: table)]).commit().table
    try check(table, "append after expiry")
    try change("roll back") { $0.rollBack(to: ids[10]) }
    try change("upgrade") { $0.upgradeFormatVersion(to: 3) }
    table = try table.newAppend([fakeFile("c", in: table)]).commit().table
    try check(table, "append in version 3")
    // Another process knows no text to begin with.
    let other = try warehouse.another().loadTable(table.identifier)
    table = try other.newAppend([fakeFile("d", in: other)]).commit().table
    try check(table, "append by another process")
  }

  /// A catalog that does not write metadata files itself, and asks the disk what a crash would leave.
  private final class AskingCatalog: ForwardingCatalog, @unchecked Sendable {
    // Unchecked: set up before it is used, by one thread.
    var onCommit: (@Sendable ([TableChange]) throws(IcebergError) -> Void)?

    override func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
      try onCommit?(changes)
      return try super.commit(changes)
    }
  }

  @Test func namesOfManifestsAreDurableBeforeAnotherCatalogHearsOfThem() throws {
    let system = SimulatedFileSystem()
    let warehouse = try Warehouse()
    let catalog = AskingCatalog(warehouse.catalog)
    let made = try warehouse.table()
    // The table's files are on a disk that can crash; only the catalog and its metadata are real.
    let io = try FileIO(fileSystem: system)
    let table = Table(
      identifier: made.identifier, state: made.state, catalog: catalog, io: io,
      clock: SystemClock())
    let asked = Asked()
    catalog.onCommit = { changes throws(IcebergError) in
      for case .addSnapshot(let snapshot) in changes.flatMap(\.updates) {
        let list = try Location.path(of: snapshot.manifestList ?? "")
        let disk = system.crashed(seed: 7)
        asked.note(disk.paths.contains(list) && disk.paths.contains { $0.hasSuffix("-m0.avro") })
      }
    }
    _ = try table.newAppend([fakeFile("a", in: table)]).commit()
    #expect(asked.answers == [true])
  }

  private final class Asked: @unchecked Sendable {
    // Unchecked: one thread commits.
    private(set) var answers: [Bool] = []
    func note(_ answer: Bool) { answers.append(answer) }
  }
}
