import Columnar
import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Tables with a past: evolved schemas and specs, overwrites and deletes, tags and branches, read at
/// every version by everybody.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct HistoryTests {
  private static let start: Int64 = 1_709_164_800_000_000

  static let schema = TableSchema(fields: [
    .required(1, "id", .long), .optional(2, "name", .string), .optional(3, "amount", .int),
    .optional(4, "price", .float), .optional(5, "cost", .decimal(precision: 9, scale: 2)),
    .optional(6, "at", .timestamptz), .optional(7, "note", .string),
    .optional(
      8, "place",
      .structure([.optional(9, "city", .string), .optional(10, "code", .int)])),
  ])

  /// Rows of the first schema.
  static func rows(_ ids: Range<Int64>) -> [JSONValue] {
    ids.map { id in
      [
        .integer(id), id % 5 == 0 ? .null : .string("name \(id % 20)"), .integer(id - 40),
        AllTypes.floatBits([id % 6 == 0 ? .nan : Float(id) / 4])[0], .string("\(id * 100 - 3000)"),
        id % 7 == 0 ? .null : .integer(start + id * 7_200_000_000), .string("note \(id)"),
        id % 4 == 0 ? .null : [.string("city \(id % 3)"), .integer(id)],
      ]
    }
  }

  /// Rows after the columns have changed: id, title, amount, price, cost, at, place, extra.
  static func laterRows(_ ids: Range<Int64>) -> [JSONValue] {
    ids.map { id in
      [
        .integer(id), .string("name \(id % 20)"), .integer(id << 33),
        AllTypes.doubleBits([Double(id) / 10])[0], .string("\(id * 10_000_000_000)"),
        .integer(start + id * 7_200_000_000),
        id % 4 == 0 ? .null : [.string("city"), .integer(id), .string("zip \(id)")],
        id % 2 == 0 ? .null : .string("extra \(id)"),
      ]
    }
  }

  /// A table that PyIceberg wrote and changed in every way that it can.
  static func evolvedByPeer(formatVersion: Int = 2) throws -> InteropFixture {
    let fixture = try InteropFixture()
    func evolve(_ steps: [JSONValue]) throws {
      try fixture.call("evolve", "db.t", ["steps": .array(steps)])
    }
    try fixture.createByPeer(
      "db.t", schema, properties: ["format-version": "\(formatVersion)", "owner": "somebody"])
    try fixture.appendByPeer("db.t", rows(0..<30))
    try fixture.appendByPeer("db.t", rows(30..<60))
    try evolve([["tag", "first"]])
    try evolve([
      ["rename", "name", "title"], ["widen", "amount", "long"], ["widen", "price", "double"],
      ["widen", "cost", "decimal(18, 2)"], ["add", "place.zip", "string"], ["drop", "note"],
      ["add", "extra", "string"],
    ])
    try fixture.appendByPeer("db.t", laterRows(60..<80))
    try fixture.call("delete", "db.t", ["filter": "id < 10"])
    try evolve([["partition by", "id", "bucket[3]", "id_bucket"]])
    try fixture.appendByPeer("db.t", laterRows(80..<100))
    try evolve([
      ["partition by", "at", "day", "at_day"], ["tag", "second"], ["add", "note", "string"],
    ])
    // Of version 1 a void field is left then, for which PyIceberg cannot write manifests.
    if formatVersion > 1 { try evolve([["no longer partition by", "id_bucket"]]) }
    let wider = laterRows(100..<120).map { JSONValue.array(($0.arrayValue ?? []) + ["new"]) }
    try fixture.appendByPeer("db.t", wider)
    let added = laterRows(120..<122).map { JSONValue.array(($0.arrayValue ?? []) + ["new"]) }
    try fixture.call(
      "overwrite", "db.t",
      ["rows": .array(added), "filter": "title == 'name 5' or id == 100"])
    try fixture.call("properties", "db.t", ["set": ["owner": "somebody else", "color": "blue"]])
    try evolve([["branch", "audit"]])
    try fixture.call("append", "db.t", ["rows": .array(added), "branch": "audit"])
    return fixture
  }

  /// Every snapshot, tag, branch and moment, as we read it and as the others do.
  private func expectSameVersions(
    _ fixture: InteropFixture, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let table = try fixture.load("db.t")
    let snapshots = table.metadata.snapshots.map(\.snapshotID)
    let references = table.metadata.references.keys.sorted()
    let times = table.metadata.snapshotLog.map(\.timestampMilliseconds)
    let versions: [(String, [TableScan.Version])] = [
      ("snapshots", snapshots.map { .snapshot($0) }),
      ("references", references.map { .reference($0) }),
      ("times", times.map { .asOf(milliseconds: $0) }),
    ]
    let answers = try fixture.call(
      "read_versions", "db.t",
      [
        "snapshots": .array(snapshots.map { .integer($0) }),
        "references": .array(references.map { .string($0) }),
        "times": .array(times.map { .integer($0) }),
      ])
    for (kind, versions) in versions {
      let answers = answers[kind]?.arrayValue ?? []
      #expect(answers.count == versions.count && !versions.isEmpty)
      for (version, answer) in zip(versions, answers) {
        let own = try table.rows { $0.version = version }
        for (engine, rows) in zip(answer.objectValue?.keys ?? [], answer.objectValue?.values ?? [])
        {
          expectSame(own, rows.arrayValue ?? [], "\(version): \(engine)", sourceLocation)
        }
      }
    }
  }

  @Test(arguments: [1, 2])
  func whatPyIcebergEvolvedIsReadAtEveryVersion(formatVersion: Int) throws {
    let fixture = try Self.evolvedByPeer(formatVersion: formatVersion)
    let table = try fixture.load("db.t")
    #expect(table.metadata.formatVersion == formatVersion)
    #expect(table.properties["owner"] == "somebody else" && table.properties["color"] == "blue")
    #expect(table.schema.fields.map(\.name).last == "note")
    try expectSameVersions(fixture)
  }

  @Test func whatPyIcebergEvolvedIsMaintained() throws {
    let fixture = try Self.evolvedByPeer()
    let before = try fixture.load("db.t").rows()
    // 0 to 121 without 0 to 9, 100, and those of "name 5" whose name is there: 65, 85, 105.
    #expect(before.count == 122 - 10 - 4)
    try fixture.expectRows("db.t", before, "as written")
    try fixture.expectSameAnswers("db.t", conditions)
    try fixture.optimize("db.t")
    try fixture.expectRows("db.t", before, "after the compaction")
    try fixture.expectSameAnswers("db.t", conditions)
    let first = try fixture.load("db.t").rows { $0.version = .reference("first") }
    let audit = try fixture.load("db.t").rows { $0.version = .reference("audit") }
    #expect(first.count == 60 && audit.count == before.count + 2)
    let vacuumed = try fixture.vacuum("db.t")
    #expect(vacuumed.expiredSnapshotCount > 3 && vacuumed.deletedFileCount > 3)
    try fixture.expectRows("db.t", before, "after the vacuum")
    try expectSameVersions(fixture)
    #expect(try fixture.load("db.t").rows { $0.version = .reference("first") } == first)
    #expect(try fixture.load("db.t").rows { $0.version = .reference("audit") } == audit)
  }

  private var conditions: [Condition] {
    let samples: [AllTypes.Sample] = [
      .init(name: "id", type: .long, values: [0, 9, 10, 59, 60, 79, 80, 100, 119]),
      .init(name: "title", type: .string, values: ["name 0", "name 5", "name 9", "x"]),
      .init(name: "amount", type: .long, values: [-40, 0, 19, .integer(60 << 33)]),
      .init(name: "price", type: .double, values: AllTypes.doubleBits([0.25, 6.1, 9.9, 14.75])),
      .init(
        name: "cost", type: .decimal(precision: 18, scale: 2),
        values: ["-3000", "2900", "600000000000", "1190000000000"]),
      .init(
        name: "at", type: .timestamptz,
        values: [.integer(Self.start), .integer(Self.start + 60 * 7_200_000_000)]),
      .init(name: "extra", type: .string, values: ["extra 61", "extra 99"]),
      .init(name: "note", type: .string, values: ["new", "note 3"]),
    ]
    return samples.flatMap { Condition.some(12, $0, seed: 31) }
  }

  @Test func whatWeEvolvedIsReadAtEveryVersion() throws {
    let fixture = try InteropFixture()
    var table = try fixture.create("db.t", Self.schema)
    table = try table.appending(Self.rows(0..<20)).appending(Self.rows(20..<40))
    var tag = table.newCommit()
    tag.createTag("first")
    table = try tag.commit().table
    var change = table.newCommit()
    change.addColumns([.optional(100, "extra", .string), .optional(101, "count", .long)])
    table = try change.commit().table
    let wider = Self.rows(40..<60).map { JSONValue.array(($0.arrayValue ?? []) + ["e", 7]) }
    table = try table.appending(wider)
    let oldest = try table.newScan().planFiles().tasks.map(\.dataFile)
      .filter { $0.recordCount == 20 }.suffix(1)
    var overwrite = table.newCommit()
    overwrite.overwrite(Array(oldest), with: [])
    table = try overwrite.commit().table
    var branch = table.newCommit()
    branch.createBranch("audit")
    table = try branch.commit().table
    var toBranch = table.newAppend(try table.writing(Array(wider.prefix(3))))
    toBranch.branch = "audit"
    table = try toBranch.commit().table
    #expect(table.metadata.snapshots.count == 5)
    try expectSameVersions(fixture)
    try fixture.optimize("db.t")
    try expectSameVersions(fixture)
    try fixture.vacuum("db.t")
    try expectSameVersions(fixture)
  }

  @Test func aTableOfVersion1IsUpgradedAndMaintained() throws {
    let fixture = try Self.evolvedByPeer(formatVersion: 1)
    let before = try fixture.load("db.t").rows()
    #expect(throws: IcebergError.self) { try fixture.load("db.t").appending([]) }
    #expect(throws: IcebergError.self) { try RewriteDataFiles(fixture.load("db.t")).plan() }
    var upgrade = try fixture.load("db.t").newCommit()
    upgrade.upgradeFormatVersion(to: 2)
    _ = try upgrade.commit()
    // DuckDB wants sequence numbers, which the manifest list of version 1 has not, once the table
    // is of version 2.
    expectSame(
      try fixture.read("pyiceberg", "db.t"), before, "after the upgrade", #_sourceLocation)
    try fixture.optimize("db.t")
    try fixture.vacuum("db.t")
    try fixture.expectRows("db.t", before, "after maintenance")
    let more = Self.laterRows(200..<210).map { JSONValue.array(($0.arrayValue ?? []) + [.null]) }
    try fixture.appendByPeer("db.t", more)
    #expect(try fixture.load("db.t").rows().count == before.count + 10)
  }
}
