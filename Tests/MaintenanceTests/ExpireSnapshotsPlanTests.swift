import Iceberg
import JSON
import Testing

/// Which snapshots go: as the reference implementation decides it.
@Suite struct ExpireSnapshotsPlanTests {
  private func metadata(_ before: JSONValue) throws -> TableMetadata {
    let schema = TableSchema(
      schemaID: 0, fields: [NestedField(id: 1, name: "id", isRequired: false, type: .long)])
    var metadata = try TableMetadata.new(
      schema: schema, location: "file:///t", nowMilliseconds: 1_795_400_000_000)
    metadata.properties = before["properties"]?.texts ?? [:]
    metadata.snapshots = (before["snapshots"]?.arrayValue ?? []).map { snapshot in
      Snapshot(
        snapshotID: snapshot["snapshot-id"]?.int64Value ?? 0,
        parentSnapshotID: snapshot["parent-snapshot-id"]?.int64Value, sequenceNumber: 1,
        timestampMilliseconds: snapshot["timestamp-ms"]?.int64Value ?? 0, manifestList: "x",
        operation: .append, schemaID: 0)
    }
    for (name, reference) in before["refs"]?.objectValue?.members ?? JSONObject().members {
      metadata.references[name] = SnapshotReference(
        snapshotID: reference["snapshot-id"]?.int64Value ?? 0,
        kind: reference["type"]?.stringValue == "tag" ? .tag : .branch,
        minSnapshotsToKeep: reference["min-snapshots-to-keep"]?.int64Value.map { Int32($0) },
        maxSnapshotAgeMilliseconds: reference["max-snapshot-age-ms"]?.int64Value,
        maxReferenceAgeMilliseconds: reference["max-ref-age-ms"]?.int64Value)
    }
    metadata.snapshotLog = log(before)
    metadata.currentSnapshotID = before["current"]?.int64Value
    return metadata
  }

  private func log(_ state: JSONValue) -> [SnapshotLogEntry] {
    (state["snapshot_log"]?.arrayValue ?? []).map { entry in
      SnapshotLogEntry(
        timestampMilliseconds: entry["timestamp-ms"]?.int64Value ?? 0,
        snapshotID: entry["snapshot-id"]?.int64Value ?? 0)
    }
  }

  private func plan(_ example: JSONValue) throws -> (TableMetadata, ExpireSnapshotsPlan) {
    let metadata = try metadata(try #require(example["before"]))
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: example["now_ms"]?.int64Value ?? 0,
      olderThanMilliseconds: example["call"]?["older_than_ms"]?.int64Value,
      retainLast: example["call"]?["retain_last"]?.int64Value,
      snapshotIDs: Set(example["call"]?["snapshot_ids"]?.integers ?? []),
      tableProperties: metadata.properties)
    return (metadata, try ExpireSnapshotsPlan(metadata, options))
  }

  @Test func everySetEqualsTheReferences() throws {
    var compared = 0
    for example in try goldenCases("expire_sets.json") {
      guard let after = example["after"] else { continue }
      let name = example["case"]?.int64Value ?? -1
      let (metadata, plan) = try plan(example)
      let kept = metadata.snapshots.map(\.snapshotID).filter { plan.kept[$0] != nil }
      #expect(Set(kept) == Set(after["snapshots"]?.integers ?? []), "case \(name)")
      #expect(!plan.isEmpty == after["committed"]?.boolValue, "case \(name)")
      let references = Set(metadata.references.keys).subtracting(plan.removedReferences)
      #expect(references == Set(after["refs"]?.objectValue?.keys ?? []), "case \(name)")
      // And the metadata that results, its log included.
      let result = try metadata.applying(
        plan.updates, nowMilliseconds: 1_795_500_000_000, previousLocation: "m")
      #expect(Set(result.snapshots.map(\.snapshotID)) == Set(kept), "case \(name)")
      #expect(result.snapshotLog == log(after), "case \(name)")
      #expect(result.currentSnapshotID == after["current"]?.int64Value, "case \(name)")
      compared += 1
    }
    #expect(compared == 26)
  }

  @Test func headsThatAreNamedAreRefusedInTheReferencesWords() throws {
    var refused = 0
    for example in try goldenCases("expire_sets.json") {
      guard let message = example["error"]?.stringValue else { continue }
      let name = example["case"]?.int64Value ?? -1
      let error = #expect(throws: IcebergError.self, "case \(name)") { _ = try plan(example) }
      #expect(error?.message == message, "case \(name)")
      refused += 1
    }
    #expect(refused == 4)
  }

  /// Ten snapshots, a minute apart, each the parent of the next.
  private func history() throws -> TableMetadata {
    var object = JSONObject()
    object["snapshots"] = .array(
      (1...10).map { id in
        [
          "snapshot-id": .integer(id), "parent-snapshot-id": .integer(id - 1),
          "timestamp-ms": .integer(id * 60_000),
        ]
      })
    object["refs"] = ["main": ["snapshot-id": 10, "type": "branch"]]
    object["current"] = 10
    return try metadata(.object(object))
  }

  @Test func s12TheHeadStaysWhateverItsAge() throws {
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: .max, olderThanMilliseconds: .max, retainLast: 1)
    let plan = try ExpireSnapshotsPlan(try history(), options)
    #expect(plan.kept == [10: .head(reference: "main")])
    #expect(plan.expiredSnapshotIDs == Array(1...9))
  }

  @Test func s12KeepingNoSnapshotIsRefused() {
    #expect(throws: IcebergError.self) {
      _ = try ExpireSnapshotsOptions(nowMilliseconds: 0, retainLast: 0)
    }
    #expect(throws: IcebergError.self) {
      _ = try ExpireSnapshotsOptions(
        nowMilliseconds: 0, tableProperties: ["history.expire.min-snapshots-to-keep": "0"])
    }
  }

  @Test func s31ASnapshotThatARunningJobStartedFromStays() throws {
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: .max, olderThanMilliseconds: .max, protectedSnapshotIDs: [4, 77])
    let plan = try ExpireSnapshotsPlan(try history(), options)
    #expect(plan.kept[4] == .inUse && plan.kept[77] == nil && plan.kept[5] == nil)
  }

  @Test func athenasPropertiesAreUnderstood() throws {
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: 1_000_000,
      tableProperties: [
        "vacuum_max_snapshot_age_seconds": "500", "vacuum_min_snapshots_to_keep": "3",
      ])
    #expect(options.olderThanMilliseconds == 500_000 && options.minSnapshotsToKeep == 3)
  }

  @Test func icebergsPropertiesWinOverAthenas() throws {
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: 1_000_000,
      tableProperties: [
        "vacuum_max_snapshot_age_seconds": "500", "history.expire.max-snapshot-age-ms": "1000",
      ])
    #expect(options.olderThanMilliseconds == 999_000)
  }

  @Test func aCircleOfParentsEnds() throws {
    var metadata = try history()
    metadata.snapshots[0].parentSnapshotID = 10
    let options = try ExpireSnapshotsOptions(nowMilliseconds: 0, olderThanMilliseconds: 0)
    #expect(try ExpireSnapshotsPlan(metadata, options).isEmpty)
  }

  @Test func theAgesAtTheEndsOfTheIntegersDoNotTrap() throws {
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: .min,
      tableProperties: [
        "history.expire.max-snapshot-age-ms": "9223372036854775807",
        "history.expire.max-ref-age-ms": "9223372036854775807",
        "vacuum_max_snapshot_age_seconds": "9223372036854775807",
      ])
    #expect(try ExpireSnapshotsPlan(try history(), options).isEmpty)
  }
}
