import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Training sets with names: the same bytes later, whatever became of the tables.
@Suite struct NamedTrainingSetTests {
  private typealias Fixture = TrainingSetFixture

  private func filled() throws -> Fixture {
    let fixture = try Fixture()
    // Many files, so that there is something to compact.
    for hour in 1...6 {
      for sensor in ["a", "b", "c"] {
        try fixture.put(sensor, hour, hour * 10)
        try fixture.put(sensor, hour, hour, "others")
      }
      try fixture.store.flush()
    }
    return fixture
  }

  private func spine(_ fixture: Fixture) throws -> String {
    var lines = ["label,sensor,t"]
    for number in 0..<300 {
      lines.append("\(number),\(["a", "b", "c", "d"][number % 4]),\(Fixture.hour(number % 9))")
    }
    return try fixture.write("spine.csv", lines.joined(separator: "\n"))
  }

  /// New data (late ones, too), compaction, and a vacuum that keeps as little as it may.
  private func age(_ fixture: Fixture) throws {
    for group in ["readings", "others"] {
      for sensor in ["a", "b", "c"] { try fixture.put(sensor, 4, 999, group) }
    }
    try fixture.store.flush()
    for group in ["readings", "others"] {
      #expect(
        try !fixture.store.optimize(group, options: ["rewrite-all": "true"]).isPartial)
      var request = FeatureStore.VacuumRequest()
      request.maxSnapshotAgeMilliseconds = 0
      request.minSnapshotsToKeep = 1
      #expect(try !fixture.store.vacuum(group, request: request).isPartial)
    }
  }

  private func bytes(_ fixture: Fixture, _ name: String) throws -> Data {
    try Data(contentsOf: URL(filePath: fixture.path(name)))
  }

  @Test(arguments: ["set.parquet", "set.arrow", "set.arrows", "set.csv"])
  func aTrainingSetIsMadeAgainByteForByte(name: String) throws {
    let fixture = try filled()
    let request = fixture.request(
      .files([try spine(fixture)]), features: "readings:value", "others:value=other,ttl=2h",
      output: .file(fixture.path(name)))
    let (set, report) = try fixture.store.createTrainingSet("january", request)
    #expect(set.isComplete && set.rowCount == 300 && report.rowCount == 300)
    let first = try bytes(fixture, name)
    #expect(set.files.map(\.sizeBytes) == [Int64(first.count)])

    try age(fixture)
    // The user's own file may change or go.
    _ = try fixture.write("spine.csv", "label,sensor,t")
    let (again, isIdentical) = try fixture.store.reproduceTrainingSet(
      "january", output: .file(fixture.path("again-" + name)))
    #expect(isIdentical == true)
    #expect(again.rowCount == 300)
    #expect(try bytes(fixture, "again-" + name) == first)
    // In place of the original, which stays unless that is asked for.
    #expect(throws: FeatureStoreError.self) {
      try fixture.store.reproduceTrainingSet("january")
    }
    #expect(try fixture.store.reproduceTrainingSet("january", replacing: true).isIdentical == true)
    let other = name == "set.csv" ? "other.parquet" : "other.csv"
    #expect(
      try fixture.store.reproduceTrainingSet("january", output: .file(fixture.path(other)))
        .isIdentical == nil)
  }

  /// A named set is audited and explained by what it was made of, whatever became of the tables.
  @Test func aTrainingSetIsCheckedByItsOwnOptionsAndSnapshots() throws {
    let fixture = try filled()
    let features = ["readings:value", "others:value=other,ttl=2h"]
    let references = try fixture.store.featureReferences(features)
    try fixture.store.createView(FeatureView(name: "view", features: references))
    // Its time column is the group's, not the one named.
    var request = fixture.request(
      .group("others"), time: "unused", output: .file(fixture.path("set.parquet")))
    request.view = "view"
    request.features = []
    request.isStrict = true
    request.dataDelays = ["readings": 2 * 3_600_000_000]
    let (set, report) = try fixture.store.createTrainingSet("january", request)
    #expect(set.outputFile == fixture.path("set.parquet") && report.rowCount == 18)
    try age(fixture)

    let audit = try fixture.store.auditTrainingSet(fixture.path("set.parquet"), of: set)
    #expect(audit.differingCount == 0 && audit.rowCount == 18 && audit.columnCount == 2)
    for row in [0, 9, 17] {
      let cells = try fixture.store.explainTrainingSet(
        fixture.path("set.parquet"), row: row, of: set)
      #expect(cells.map(\.column) == ["value", "other"])
      #expect(cells.allSatisfy { $0.fileValue == $0.value })
    }
    // By today's tables, or with another delay, it is not the same.
    let today = try fixture.store.auditTrainingSet(fixture.path("set.parquet"), of: request)
    #expect(today.differingCount > 0)
    var other = set
    other.request.dataDelays = [:]
    #expect(
      try fixture.store.auditTrainingSet(fixture.path("set.parquet"), of: other).differingCount > 0)
    other = set
    other.isComplete = false
    #expect(throws: FeatureStoreError.self) {
      try fixture.store.auditTrainingSet(fixture.path("set.parquet"), of: other)
    }
  }

  @Test func foldersSplitsAndSpinesOfTheTablesAreMadeAgain() throws {
    let fixture = try filled()
    let (from, to) = try (
      FeatureStore.moment(Fixture.hour(2)), FeatureStore.moment(Fixture.hour(20))
    )
    let spines: [TrainingSetRequest.Spine] = [
      .group("readings", filter: "value > 10", features: ["value"]),
      .allKeys(at: [from, to]), .changes(of: ["others"], from: from, to: to),
    ]
    for (index, spine) in spines.enumerated() {
      var request = fixture.request(
        spine, features: "others:value=other", time: "moment",
        output: .folder(
          fixture.path("set\(index)"), TrainingSetFolder(partitionColumns: ["sensor"])))
      request.split = .byKey(
        columns: ["sensor"],
        shares: [.init(name: "one", share: 0.3), .init(name: "two", share: 0.7)], seed: 4)
      if index == 1 {
        request.view = "view"
        request.features = []
        try fixture.store.createView(
          FeatureView(
            name: "view", features: fixture.store.featureReferences(["others:value=other"])))
      }
      _ = try fixture.store.createTrainingSet("set_\(index)", request)
    }
    try age(fixture)
    for index in spines.indices {
      let set = try fixture.store.trainingSet(named: "set_\(index)")
      let (_, isIdentical) = try fixture.store.reproduceTrainingSet(
        "set_\(index)",
        output: .folder(
          fixture.path("again\(index)"), TrainingSetFolder(partitionColumns: ["sensor"])))
      #expect(isIdentical == true, "\(index)")
      #expect(set.files.count == 3)
    }
    #expect(try fixture.store.trainingSets().map(\.name) == ["set_0", "set_1", "set_2"])
    #expect(try fixture.store.trainingSet(named: "set_1").request.view == "view")
  }

  @Test func batchesAreKeptAsTheyWere() throws {
    let fixture = try filled()
    let batches = try fixture.store.trainingSet(
      fixture.request(.files([try spine(fixture)]), features: "others:value=other"))
    var spine: [RecordBatch] = []
    while let batch = try batches.next() { spine.append(batch) }
    let request = fixture.request(
      .batches(spine), output: .file(fixture.path("set.parquet")))
    _ = try fixture.store.createTrainingSet("of_batches", request)
    try age(fixture)
    #expect(
      try fixture.store.reproduceTrainingSet(
        "of_batches", output: .file(fixture.path("again.parquet"))
      ).isIdentical == true)
  }

  @Test func itsSnapshotsAreTaggedUntilItIsDeleted() throws {
    let fixture = try filled()
    let request = fixture.request(
      .files([try spine(fixture)]), features: "readings:value", "others:value=other")
    let (set, _) = try fixture.store.createTrainingSet("kept", request)
    let tag = NamedTrainingSet.tag("kept")
    func references(_ group: String) throws -> SnapshotReference? {
      try fixture.store.offlineTable(group).metadata.references[tag]
    }
    for group in ["readings", "others"] {
      #expect(try references(group)?.snapshotID == set.snapshots[group] ?? nil)
      #expect(try references(group)?.kind == .tag)
    }
    try age(fixture)
    let kept = try fixture.store.offlineTable("readings").metadata.snapshots.map(\.snapshotID)
    #expect(kept.contains(try #require(set.snapshots["readings"] ?? nil)))

    try fixture.store.deleteTrainingSet("kept")
    #expect(try references("readings") == nil && references("others") == nil)
    #expect(try fixture.store.trainingSets().isEmpty)
    #expect(FileManager.default.fileExists(atPath: fixture.path("set.csv")))
    try age(fixture)
    let left = try fixture.store.offlineTable("readings").metadata.snapshots.map(\.snapshotID)
    #expect(!left.contains(try #require(set.snapshots["readings"] ?? nil)))
    do {
      _ = try fixture.store.reproduceTrainingSet("kept")
      Issue.record("made a deleted set again")
    } catch { #expect(error.code == .notFound) }
    // The name is free again.
    var again = request
    again.replacesOutput = true
    _ = try fixture.store.createTrainingSet("kept", again)
  }

  @Test func aTableWithoutASnapshotStaysEmptyForItsTrainingSets() throws {
    let fixture = try Fixture()
    try fixture.put("a", 1, 1)
    try fixture.store.flush()
    let request = fixture.request(
      .files([try spine(fixture)]), features: "readings:value", "others:value=other",
      output: .file(fixture.path("set.parquet")))
    let (set, _) = try fixture.store.createTrainingSet("early", request)
    #expect(set.snapshots["others"] == .some(nil))
    try fixture.put("a", 1, 7, "others")
    try fixture.store.flush()
    #expect(
      try fixture.store.reproduceTrainingSet(
        "early", output: .file(fixture.path("again.parquet"))
      ).isIdentical == true)
  }

  @Test func whatFailsLeavesNoNameAndNoTag() throws {
    let fixture = try filled()
    let bad = try fixture.write("bad.csv", "sensor,t", "a,yesterday")
    let spine = try spine(fixture)
    var requests = [fixture.request(.files([bad]))]
    var request = fixture.request(
      .files([spine]),
      output: .folder(fixture.path("set"), TrainingSetFolder(partitionColumns: ["nothing"])))
    requests.append(request)
    request = fixture.request(.files([fixture.path("nowhere.csv")]))
    requests.append(request)
    for request in requests {
      #expect(throws: FeatureStoreError.self) {
        try fixture.store.createTrainingSet("broken", request)
      }
      #expect(try fixture.store.trainingSets().isEmpty)
      let names = try FileManager.default.contentsOfDirectory(
        atPath: fixture.base.directory + "/training-sets")
      #expect(names == [".broken.lock"])
      #expect(
        try fixture.store.offlineTable("readings").metadata.references.keys.sorted() == ["main"])
    }
    for name in ["", "a/b", "..", "a b"] {
      #expect(throws: FeatureStoreError.self, "\(name)") {
        try fixture.store.createTrainingSet(name, fixture.request(.files([spine])))
      }
      #expect(throws: FeatureStoreError.self) { try fixture.store.trainingSet(named: name) }
    }
  }

  /// As a kill leaves it: the definition and the tag are there, the output is not.
  @Test func anInterruptedOneCanBeMadeAnewOrDeleted() throws {
    let fixture = try filled()
    let request = fixture.request(.files([try spine(fixture)]))
    let folder = fixture.base.directory + "/training-sets/half"
    let file = URL(filePath: folder + "/definition.json")
    let tag = NamedTrainingSet.tag("half")
    func interrupt() throws {
      _ = try fixture.store.createTrainingSet("half", request)
      let text = try String(contentsOf: file, encoding: .utf8)
      let begun = text.replacing("\"is_complete\": true", with: "\"is_complete\": false")
      // A changed definition without its checksum is damage.
      try begun.write(to: file, atomically: false, encoding: .utf8)
      do {
        _ = try fixture.store.trainingSet(named: "half")
        Issue.record("believed a changed definition")
      } catch { #expect(error.code == .corrupt) }
      let end = try #require(begun.range(of: ",\n  \"checksum\": "))
      let content = begun[..<end.lowerBound]
      let sum = String(CRC32C(of: Array(content.utf8).rawSpan).value, radix: 16)
      let digits = String(repeating: "0", count: 8 - sum.count) + sum
      try (content + ",\n  \"checksum\": \"\(digits)\"\n}").write(
        to: file, atomically: false, encoding: .utf8)
      try FileManager.default.removeItem(atPath: fixture.path("set.csv"))
    }
    try interrupt()
    #expect(try fixture.store.trainingSets().map(\.isComplete) == [false])
    do {
      _ = try fixture.store.reproduceTrainingSet("half")
      Issue.record("made a set again that never was")
    } catch { #expect(error.code == .conflict) }
    try fixture.store.deleteTrainingSet("half")
    #expect(try fixture.store.offlineTable("readings").metadata.references[tag] == nil)
    #expect(!FileManager.default.fileExists(atPath: folder))

    try interrupt()
    let (set, _) = try fixture.store.createTrainingSet("half", request)
    #expect(set.isComplete)
    do {
      _ = try fixture.store.createTrainingSet("half", request)
      Issue.record("took a name twice")
    } catch { #expect(error.code == .alreadyExists) }
    var unflushed = request
    unflushed.includesUnflushed = true
    do {
      _ = try fixture.store.createTrainingSet("unflushed", unflushed)
      Issue.record("gave a name to what cannot be made again")
    } catch { #expect(error.code == .invalidArgument) }
  }

  @Test func backupsHaveTrainingSetsToo() throws {
    let fixture = try filled()
    let request = fixture.request(
      .files([try spine(fixture)]), features: "readings:value", "others:value=other",
      output: .file(fixture.path("set.parquet")))
    _ = try fixture.store.createTrainingSet("kept", request)
    try age(fixture)
    let backup = try fixture.store.backup(to: fixture.path("backups"))
    try fixture.store.deleteTrainingSet("kept")
    _ = try FeatureStore.restore(
      backup.directory, to: fixture.path("restored"))
    let restored = try FeatureStore.open(at: fixture.path("restored"), access: .offline)
    #expect(try restored.trainingSets().map(\.name) == ["kept"])
    #expect(
      try restored.reproduceTrainingSet(
        "kept", output: .file(fixture.path("again.parquet"))
      ).isIdentical == true)
  }

  @Test func verifyNamesWhatKeepsASetFromBeingMadeAgain() throws {
    let fixture = try filled()
    _ = try fixture.store.createTrainingSet("kept", fixture.request(.files([try spine(fixture)])))
    #expect(try fixture.store.verify().damages == [])
    let file = fixture.base.directory + "/training-sets/kept/spine/0.csv"
    try FileManager.default.removeItem(atPath: file)
    var commit = try fixture.store.offlineTable("readings").newCommit()
    commit.removeReference(NamedTrainingSet.tag("kept"))
    _ = try commit.commit()
    let damages = try fixture.store.verify().damages
    #expect(damages.count == 2, "\(damages)")
    #expect(damages.contains { $0.contains("spine/0.csv") && $0.contains("'kept'") })
    #expect(damages.contains { $0.contains("fstore.training-set.kept") })
    let definition = fixture.base.directory + "/training-sets/kept/definition.json"
    try Data("{}".utf8).write(to: URL(filePath: definition))
    #expect(try fixture.store.verify().damages.count == 1)
  }
}
