import Iceberg
import JSON
import Testing

/// Commits without a snapshot of their own, whose answer was lost or came as an echo.
@Suite struct UnclearOutcomeTests {
  enum Change: CaseIterable {
    case properties, removedProperties, schema, spec, order, tag, branch, removedReference, expiry
    case formatVersion, retention, statistics
  }

  /// A table with two snapshots, a property and a tag.
  private func table(_ warehouse: Warehouse) throws -> Table {
    var table = try warehouse.table(properties: ["old": "1"]).appending("a")
    var commit = table.newCommit()
    commit.createTag("old")
    table = try commit.commit().table
    return try table.appending("b")
  }

  private func commit(_ change: Change, _ table: Table) throws -> TableCommit {
    var commit = table.newCommit()
    commit.options.pause = { _ in }
    switch change {
    case .properties: commit.setProperties(["new": "1"])
    case .removedProperties: commit.removeProperties(["old"])
    case .schema:
      var update = SchemaUpdate()
      update.add(.optional(1, "extra", .string))
      commit.updateSchema(update)
    case .spec:
      var update = PartitionSpecUpdate()
      update.add("id", .bucket(2))
      commit.updatePartitionSpec(update)
    case .order:
      commit.replaceSortOrder([
        (column: "id", transform: .identity, direction: .ascending, nullOrder: .nullsLast)
      ])
    case .tag: commit.createTag("new")
    case .branch: commit.createBranch("new")
    case .removedReference: commit.removeReference("old")
    case .expiry:
      commit.removeSnapshots([table.metadata.snapshots[0].snapshotID], references: ["old"])
    case .formatVersion: commit.upgradeFormatVersion(to: 3)
    case .retention: commit.setRetention("old", maxReferenceAgeMilliseconds: 7)
    case .statistics:
      let id = table.metadata.snapshots[0].snapshotID
      commit.update { _ throws(IcebergError) in
        [
          .setStatistics(
            StatisticsFile(
              snapshotID: id, path: "x",
              json: [
                "snapshot-id": .integer(id), "statistics-path": "x",
              ]))
        ]
      }
    }
    return commit
  }

  @Test(
    arguments: Change.allCases,
    [
      LyingCatalog.Lie.unknownThoughCommitted, .conflictThoughCommitted,
    ])
  func s19ACommitWithoutASnapshotIsRecognisedToo(change: Change, lie: LyingCatalog.Lie) throws {
    let warehouse = try Warehouse()
    let before = try table(warehouse)
    let liar = LyingCatalog(warehouse.catalog, [lie])
    let result = try commit(change, try liar.loadTable(before.identifier)).commit()
    #expect(result.attemptCount == 1 && result.snapshotID == nil)
    let after = try before.refresh()
    #expect(result.table.metadata == after.metadata && after.metadata != before.metadata)
    // Once, not twice.
    #expect(after.metadata.metadataLog.count == before.metadata.metadataLog.count + 1)
  }

  @Test(arguments: Change.allCases) func s18ALostCommitWithoutASnapshotStaysUnknown(
    change: Change
  ) throws {
    let warehouse = try Warehouse()
    let before = try table(warehouse)
    let liar = LyingCatalog(warehouse.catalog, [.unknownAndLost])
    let error = #expect(throws: IcebergError.self) {
      try commit(change, try liar.loadTable(before.identifier)).commit()
    }
    #expect(error?.kind == .commitStateUnknown)
    #expect(try before.refresh().metadata == before.metadata)
  }

  @Test func aConflictWithTheSameChangeByAnotherIsNoEcho() throws {
    let warehouse = try Warehouse()
    let before = try table(warehouse)
    // A local catalog knows whose metadata file is in the table: another's tag is not ours.
    var other = before.newCommit()
    other.createTag("new")
    var commit = try commit(.tag, before)
    let first = other
    commit.update { [catalog = warehouse.catalog] metadata throws(IcebergError) in
      guard try catalog.loadState(before.identifier).metadata.references["new"] == nil else {
        return []
      }
      _ = try first.commit()
      return []
    }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .alreadyExists)
  }

  @Test func anUnknownCommitOfADatabaseIsFoundInTheLogBehindLaterOnes() throws {
    let warehouse = try Warehouse()
    let before = try table(warehouse)
    // The answer is lost, and others commit before anybody can look.
    let catalog = OvertakenCatalog(warehouse.catalog)
    let result = try commit(.properties, try catalog.loadTable(before.identifier)).commit()
    #expect(result.table.properties["new"] == "2")
    #expect(try before.refresh().properties["new"] == "2")
  }

  @Test func rowsThatOthersDeletedDoNotComeBackWithAnOverwrite() throws {
    let warehouse = try Warehouse()
    let rows = (0..<10).map { Row(id: $0, ts: 0, x: nil, name: nil) }
    let table = try warehouse.table(properties: ["write.delete.mode": "merge-on-read"])
      .writing(rows)
    // Read here: the file as it is, to be written anew with another row.
    let file = try table.onlyFile()
    let writer = try DataFileWriter(table)
    try writer.write(batch(rows + [Row(id: 10, ts: 0, x: nil, name: nil)]))
    let replacement = try writer.finish()
    let other = try table.deleteRows(where: .comparison("id", .equal, .long(3))).table
    var overwrite = table.newCommit()
    overwrite.overwrite([file], with: replacement)
    let error = #expect(throws: IcebergError.self) { try overwrite.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try other.refresh().newScan().rows().count == 9)
    // Whoever has seen the deletes may: from the head, or by naming the snapshot.
    overwrite = table.newCommit()
    overwrite.overwrite(
      [file], with: replacement, startingSnapshotID: other.metadata.currentSnapshotID)
    #expect(try overwrite.commit().table.newScan().rows().count == 11)
  }

  @Test func aFileThatGoesAsAWholeMayHaveLostRowsBefore() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table(properties: ["write.delete.mode": "merge-on-read"])
      .writing((0..<10).map { Row(id: $0, ts: 0, x: nil, name: nil) })
    _ = try table.deleteRows(where: .comparison("id", .equal, .long(3)))
    var delete = table.newCommit()
    delete.overwrite([try table.onlyFile()], with: [])
    #expect(try delete.commit().table.newScan().rows().isEmpty)
  }
}

/// Commits, lets another commit the opposite, and then claims not to know, naming its metadata file as
/// local catalogs do.
private final class OvertakenCatalog: ForwardingCatalog, @unchecked Sendable {
  // Unchecked: it has no state of its own.
  override func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    let states = try super.commit(changes)
    for (change, state) in zip(changes, states) {
      _ = try super.commit([
        TableChange(
          change.identifier, base: state, requirements: [], updates: [.setProperties(["new": "2"])])
      ])
    }
    var error = IcebergError(.commitStateUnknown, "lost")
    error.attemptedMetadata = states.map(\.metadataLocation)
    throw error
  }
}
