import Iceberg
import Storage
import Synchronization
import TestSupport
import Testing

/// Random histories of several writers on one table, on a simulated disk: others commit between a
/// writer's reading and its commit, outcomes get lost, machines crash at any call, clocks jump.
///
/// The oracle is a set of rows, changed when the catalog takes a commit: what a scan finds must be that
/// set at every moment, so every history is a serial one. Every file that the table speaks of must be
/// there and readable. The same seed gives the same history. `FSTORE_COMMIT_SEEDS` sets how many.
@Suite struct CommitSimulationTests {
  @Test func everyHistoryIsSerialAndLosesNothing() throws {
    let count = UInt64(setting("FSTORE_COMMIT_SEEDS", 25))
    var commits = 0
    for seed in 1...max(count, 1) {
      let history = try History(seed: seed)
      for step in 0..<12 { try history.step(step) }
      commits += history.commitCount
    }
    #expect(commits > Int(count) * 3)
  }

  @Test func theSameSeedGivesTheSameHistory() throws {
    func run(_ seed: UInt64) throws -> [String] {
      // Names are random, and with them what an unsynced disk keeps: so without crashes.
      let history = try History(seed: seed, crashes: false)
      for step in 0..<12 { try history.step(step) }
      return history.log
    }
    let first = try run(7)
    #expect(try run(7) == first)
    #expect(try run(8) != first)
  }
}

/// One history.
private final class History {
  private let catalog: UnreliableCatalog
  private var system: SimulatedFileSystem
  private let clock = SettableClock(milliseconds: 1_700_000_000_000)
  private var generator: SeededGenerator
  private let seed: UInt64
  private let crashes: Bool
  private var nextID: Int64 = 0
  private(set) var log: [String] = []
  private let identifier: TableIdentifier

  var commitCount: Int { catalog.commitCount }

  init(seed: UInt64, crashes: Bool = true) throws {
    self.seed = seed
    self.crashes = crashes
    generator = SeededGenerator(seed: seed)
    system = SimulatedFileSystem()
    identifier = try TableIdentifier("db.t")
    let version = generator.oneIn(2) ? 3 : 2
    let mode = generator.oneIn(2) ? "merge-on-read" : "copy-on-write"
    let memory = InMemoryCatalog(
      name: "s", warehouse: "/w", io: try FileIO(fileSystem: system), clock: clock)
    catalog = UnreliableCatalog(memory, clock)
    try memory.createNamespace(identifier.namespace)
    _ = try memory.createTable(
      identifier,
      TableDefinition(
        schema: Warehouse.schema,
        properties: [
          "write.delete.mode": mode, "commit.manifest.min-count-to-merge": "3",
          "commit.retry.num-retries": "3",
        ], formatVersion: version))
    log.append("version \(version), \(mode)")
  }

  private func table() throws -> Table {
    let state = try catalog.loadState(identifier)
    return Table(
      identifier: identifier, state: state, catalog: catalog,
      io: try FileIO(fileSystem: system), clock: clock)
  }

  func step(_ number: Int) throws {
    // Clocks jump, backwards too.
    let jump = Int64(generator.below(100_000)) - 20_000
    clock.set(milliseconds: clock.nowMicroseconds() / 1000 + jump)
    let table = try table()
    let choice = generator.below(10)
    let others = generator.below(3)
    let lie = generator.oneIn(4) ? UnreliableCatalog.Lie.allCases[generator.below(3)] : nil
    let crashCall = crashes && generator.oneIn(3) ? 1 + generator.below(60) : nil
    catalog.prepare(lie: lie) { [self] in
      // What others do between this writer's reading and its commit.
      system.inject(nil)
      for _ in 0..<others {
        do { try act(try self.table(), generator.below(5)) } catch let error as IcebergError {
          log.append("other: \(error.kind)")
        } catch { log.append("other: failed") }
      }
      if let crashCall {
        system.inject(.init(call: max(1, crashCall / 4), kind: .crash))
      }
    }
    if let crashCall { system.inject(.init(call: crashCall, kind: .crash)) }
    do { try act(table, choice) } catch let error as IcebergError {
      log.append("\(number): \(choice) \(error.kind)")
    }
    catalog.prepare(lie: nil) {}
    system.inject(nil)
    if crashCall != nil {
      // The machine starts again, with what its disk has.
      system = system.crashed(seed: generator.next())
      try catalog.move(to: system)
      log.append("\(number): crash")
    }
    try check(number)
  }

  /// One operation of a writer; the oracle learns of it when the catalog takes it.
  private func act(_ table: Table, _ choice: Int) throws {
    switch choice {
    case 0...2:
      let ids = (0..<Int64(1 + generator.below(4))).map { nextID + $0 }
      nextID += Int64(ids.count)
      let writer = try DataFileWriter(table)
      try writer.write(batch(ids.map { Row(id: $0, ts: 0, x: nil, name: nil) }))
      var commit = table.newAppend(try writer.finish())
      commit.options.pause = { _ in }
      try catalog.during {
        $0.union(ids)
      } body: {
        _ = try commit.commit()
      }
      log.append("append \(ids)")
    case 3, 5, 6:
      let bound = Int64(generator.below(max(1, Int(nextID))))
      let isUpper = generator.oneIn(2)
      let filter: FilterExpression =
        isUpper
        ? .comparison("id", .equal, .long(bound))
        : .isIn("id", [.long(bound), .long(bound + 2), .long(bound / 2)])
      let gone: Set<Int64> = isUpper ? [bound] : [bound, bound + 2, bound / 2]
      var change = DeleteRows(table, where: filter)
      change.commitOptions.pause = { _ in }
      try catalog.during {
        $0.subtracting(gone)
      } body: {
        let result = try change.execute()
        log.append("delete \(gone.sorted()): \(result.deletedRowCount)")
      }
    case 4:
      let removed = Int64(generator.below(max(1, Int(nextID))))
      let id = nextID
      nextID += 1
      let writer = try DataFileWriter(table)
      try writer.write(batch([Row(id: id, ts: 0, x: nil, name: nil)]))
      let files = try writer.finish()
      var change = DeleteRows(table, where: .comparison("id", .equal, .long(removed)))
      change.commitOptions.pause = { _ in }
      try catalog.during {
        $0.subtracting([removed]).union([id])
      } body: {
        _ = try change.execute(try change.plan(), adding: files)
      }
      log.append("overwrite \(removed) by \(id)")
    case 7:
      var job = try RewriteDataFiles(
        table, options: try RewriteDataFilesOptions(["rewrite-all": "true"]))
      job.commitOptions.pause = { _ in }
      try catalog.during {
        $0
      } body: {
        let result = try job.execute(try job.plan())
        log.append("compact \(result.rewrittenFileCount), \(result.failures.count) failed")
      }
    case 8:
      var options = VacuumOptions()
      options.olderThanMilliseconds = .max
      options.retainLast = 1
      var vacuum = Vacuum(table, options: options)
      vacuum.deletionThreads = 1
      try catalog.during {
        $0
      } body: {
        let result = try vacuum.execute(vacuum.plan())
        log.append("vacuum \(result.failure == nil)")
      }
    default:
      var commit = table.newCommit()
      commit.options.pause = { _ in }
      let id = nextID
      commit.setProperties(["n": "\(id)"])
      var schema = SchemaUpdate()
      schema.setDocumentation("name", "text \(id)")
      commit.updateSchema(schema)
      try catalog.during {
        $0
      } body: {
        _ = try commit.commit()
      }
      log.append("properties")
    }
  }

  /// The table is what the oracle says, as a fresh reader finds it.
  private func check(_ step: Int) throws {
    let table = try table()
    let found = try table.newScan().rows().map(\.id)
    let comment: Comment = "seed \(seed), step \(step): \(log.suffix(6))"
    #expect(found == catalog.rows.sorted(), comment)
    // From the metadata file alone, as another engine would start.
    let bytes = try table.io.readAll(table.metadataLocation)
    #expect(try TableMetadata(fileContent: bytes) == table.metadata, comment)
    for snapshot in table.metadata.snapshots {
      var scan = table.newScan()
      scan.version = .snapshot(snapshot.snapshotID)
      let rows = try scan.rows().map(\.id)
      #expect(Set(rows).count == rows.count, comment)
      let total = snapshot.summary["total-records"].flatMap { Int($0) } ?? -1
      #expect(total >= rows.count, comment)
    }
    guard table.metadata.formatVersion == 3 else { return }
    let lineage = try table.lineage()
    #expect(Set(lineage.values.map(\.rowID)).count == lineage.count, comment)
    for (id, now) in lineage {
      // A row keeps its id for ever.
      if let before = catalog.rowIDs[id] { #expect(before == now.rowID, comment) }
      catalog.rowIDs[id] = now.rowID
    }
  }
}

/// Others act before a commit reaches it, and its answers get lost. It keeps the rows that the table
/// has, by its own order of commits.
private final class UnreliableCatalog: Catalog, @unchecked Sendable {
  // Unchecked: a history has one thread.
  enum Lie: CaseIterable { case unknownThoughCommitted, unknownAndLost, conflictThoughCommitted }

  private var memory: InMemoryCatalog
  private let clock: SettableClock
  private var lie: Lie?
  private var meanwhile: (() -> Void)?
  private var effect: (Set<Int64>) -> Set<Int64> = { $0 }
  private(set) var rows: Set<Int64> = []
  private(set) var commitCount = 0
  var rowIDs: [Int64: Int64] = [:]
  var name: String { memory.name }

  init(_ memory: InMemoryCatalog, _ clock: SettableClock) {
    self.memory = memory
    self.clock = clock
  }

  /// Says what goes wrong with the next commit.
  func prepare(lie: Lie?, meanwhile: @escaping () -> Void) {
    self.lie = lie
    self.meanwhile = meanwhile
  }

  /// Runs an operation whose first commit, if it is taken, has this effect.
  func during(
    _ effect: @escaping (Set<Int64>) -> Set<Int64>, body: () throws -> Void
  ) throws {
    let outer = self.effect
    self.effect = effect
    defer { self.effect = outer }
    try body()
  }

  /// The catalog's server goes on with the disk of a machine that started again.
  func move(to system: SimulatedFileSystem) throws {
    let identifier = try TableIdentifier("db.t")
    let state = try memory.loadState(identifier)
    let next = InMemoryCatalog(
      name: "s", warehouse: "/w", io: try FileIO(fileSystem: system), clock: clock)
    try next.createNamespace(identifier.namespace)
    _ = try next.registerTable(identifier, metadataLocation: state.metadataLocation)
    memory = next
  }

  func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    let others = meanwhile
    let lie = lie
    meanwhile = nil
    self.lie = nil
    if let others {
      let own = effect
      others()
      effect = own
    }
    if lie == .unknownAndLost { throw IcebergError(.commitStateUnknown, "lost") }
    let states = try memory.commit(changes)
    commitCount += 1
    rows = effect(rows)
    switch lie {
    case .unknownThoughCommitted: throw IcebergError(.commitStateUnknown, "answer lost")
    case .conflictThoughCommitted: throw IcebergError(.commitConflict, "an echo")
    default: return states
    }
  }

  func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table {
    let table = try memory.loadTable(identifier)
    return Table(
      identifier: identifier, state: table.state, catalog: self, io: table.io, clock: table.clock)
  }
  func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    try memory.loadState(identifier)
  }
  func createNamespace(_: Namespace, properties: [String: String]) throws(IcebergError) {}
  func listNamespaces() throws(IcebergError) -> [Namespace] { try memory.listNamespaces() }
  func namespaceProperties(_: Namespace) throws(IcebergError) -> [String: String] { [:] }
  func dropNamespace(_: Namespace) throws(IcebergError) {}
  func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier] {
    try memory.listTables(namespace)
  }
  func tableExists(_: TableIdentifier) throws(IcebergError) -> Bool { true }
  func createTable(_: TableIdentifier, _: TableDefinition) throws(IcebergError) -> Table {
    throw IcebergError(.unsupported, "")
  }
  func dropTable(_: TableIdentifier) throws(IcebergError) {}
  func renameTable(_: TableIdentifier, to _: TableIdentifier) throws(IcebergError) {}
  func registerTable(_: TableIdentifier, metadataLocation _: String) throws(IcebergError) -> Table {
    throw IcebergError(.unsupported, "")
  }
}
