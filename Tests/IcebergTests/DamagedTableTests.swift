import Columnar
import Iceberg
import JSON
import Storage
import TestSupport
import Testing

/// Tables that nobody vouches for: any byte of any file may be another. A reader gets rows or an error,
/// never a crash.
@Suite struct DamagedTableTests {
  private func damage(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var damaged = bytes
    for _ in 0...generator.below(3) where !damaged.isEmpty {
      let index = generator.below(damaged.count)
      switch generator.below(5) {
      case 0: damaged[index] ^= 1 << UInt8(generator.below(8))
      case 1: damaged[index] = UInt8(truncatingIfNeeded: generator.next())
      case 2: damaged[index] = [0, 1, 0x2D, 0x39, 0x7F, 0x80, 0xFF][generator.below(7)]
      case 3: damaged.removeSubrange(index..<min(index + 1 + generator.below(16), damaged.count))
      default:
        let end = min(damaged.count, index + generator.below(24))
        damaged.insert(contentsOf: damaged[index..<end], at: generator.below(damaged.count))
      }
    }
    return damaged
  }

  /// A table on a simulated disk, with everything that tables have.
  private func table(_ system: SimulatedFileSystem, formatVersion: Int) throws -> Table {
    let catalog = InMemoryCatalog(
      name: "d", warehouse: "/w", io: try FileIO(fileSystem: system), clock: SystemClock())
    let identifier = try TableIdentifier("db.t")
    try catalog.createNamespace(identifier.namespace)
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "b", transform: .bucket(2))
    ])
    var table = try catalog.createTable(
      identifier,
      TableDefinition(
        schema: Warehouse.schema, partitionSpec: spec,
        properties: ["write.delete.mode": "merge-on-read"], formatVersion: formatVersion))
    for start in [Int64(0), 20] {
      table = try table.writing(
        (start..<(start + 20)).map { Row(id: $0, ts: $0 * day, x: Double($0), name: "n\($0)") })
    }
    table = try table.deleteRows(where: .isIn("id", [.long(3), .long(4), .long(25)])).table
    var commit = table.newCommit()
    commit.createTag("t")
    return try commit.commit().table
  }

  @Test(arguments: [2, 3]) func aDamagedFileIsAnErrorOrOtherRowsButNoCrash(
    formatVersion: Int
  ) throws {
    let system = SimulatedFileSystem()
    let table = try table(system, formatVersion: formatVersion)
    let paths = system.paths
    #expect(paths.count > 12)
    var generator = SeededGenerator(seed: UInt64(formatVersion))
    var outcomes: [String: Int] = [:]
    for round in 0..<300 {
      let path = paths[generator.below(paths.count)]
      let bytes = try #require(system.bytes(of: path))
      system.overwrite(path, with: damage(bytes, &generator))
      do {
        let metadata = try TableMetadata(
          fileContent: try table.io.readAll(table.metadataLocation))
        let damaged = Table(
          identifier: table.identifier,
          state: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
          catalog: table.catalog, io: table.io, clock: table.clock)
        var scan = damaged.newScan()
        if round.isMultiple(of: 2) { scan.filter = .comparison("id", .less, .long(10)) }
        scan.columns = ["id", "_pos", "_row_id"]
        var count = 0
        for task in try scan.planFiles().tasks {
          let file = try scan.batches(task)
          while let batch = try file.next() { count += batch.rowCount }
        }
        _ = try TableInspection(damaged).partitions().count
        outcomes["read", default: 0] += count >= 0 ? 1 : 0
      } catch {
        outcomes["\(error.kind)", default: 0] += 1
        #expect(error.kind != .commitConflict, "\(error)")
      }
      system.overwrite(path, with: bytes)
    }
    #expect(outcomes["invalidMetadata"] ?? 0 > 50, "\(outcomes)")
    #expect(try table.newScan().rows().count == 37)
  }

  @Test(arguments: [UInt64(1), 2, 3]) func damagedMetadataIsAnErrorOrMetadata(seed: UInt64) throws {
    let system = SimulatedFileSystem()
    let table = try table(system, formatVersion: 3)
    let bytes = try table.io.readAll(table.metadataLocation)
    var generator = SeededGenerator(seed: seed)
    var refused = 0
    for _ in 0..<400 {
      do {
        let metadata = try TableMetadata(fileContent: damage(bytes, &generator))
        // What was accepted can be used.
        _ = metadata.ancestors(of: metadata.currentSnapshotID).count
        _ = metadata.snapshot(asOfMilliseconds: .max)
        let again = try TableMetadata(json: metadata.json)
        #expect(again.json == metadata.json, "seed \(seed)")
      } catch { refused += 1 }
    }
    #expect(refused > 50, "seed \(seed)")
  }

  @Test func pathsOutsideTheAllowedFoldersAreRefusedWhereverTheyStand() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([Row(id: 1, ts: 0, x: nil, name: nil)])
    let inside = try FileIO(
      fileSystem: table.io.fileSystem, allowedRoots: [warehouse.folder + "/warehouse"])
    func reading(_ table: Table) throws -> Int {
      let narrow = Table(
        identifier: table.identifier, state: table.state, catalog: table.catalog, io: inside,
        clock: table.clock)
      return try narrow.newScan().rows().count
    }
    #expect(try reading(table) == 1)
    for path in ["/etc/passwd", "file:///etc/passwd", table.location + "/../../x.parquet"] {
      var file = fakeFile("x", in: table)
      file.path = path
      let outside = try table.newAppend([file]).commit().table
      let error = #expect(throws: IcebergError.self) { try reading(outside) }
      #expect(error?.kind == .invalidMetadata, "\(path): \(error?.description ?? "")")
      var commit = outside.newCommit()
      commit.rollBack(to: try #require(table.metadata.currentSnapshotID))
      table = try commit.commit().table
    }
  }
}
