import Iceberg
import Storage
import TestSupport

/// One random history of two tables and of those who work with them: three writers, two compactors, two
/// expirers, a remover of orphans, one who sets branches and tags, a reader of old snapshots.
///
/// All run in one thread. Each does its work in steps (plan, write, commit); a step of another may come at
/// any call that a step makes of the disk or the catalog. Processes die and machines crash at any call,
/// answers get lost, the clock jumps for days in both directions. Everything comes from the seed, so the
/// same seed gives the same history, byte for byte.
public final class TableHistory {
  public private(set) var seed: UInt64
  public private(set) var commitCount = 0
  public private(set) var crashCount = 0
  public private(set) var callCount = 0
  public private(set) var removedFileCount = 0
  /// The last events, for whoever looks for the reason of a problem.
  public private(set) var log: [String] = []
  private let keepsLog: Bool
  private var eventDigest: UInt64 = 0xCBF2_9CE4_8422_2325

  let disk: TableDisk
  let clock: SimulatedClock
  private(set) var oracle: RowOracle
  private let memory: InMemoryCatalog
  private(set) lazy var catalog = SimulatedCatalog(memory, self)
  var generator: SeededGenerator
  private let actors: [Actor]
  private var stack: [Actor] = []
  private var isQuiet = true
  private var isTruthful = false
  private(set) var expiryCount = 0
  private var nextRow: Int64 = 0
  private var nextFile = 0
  let main: TableIdentifier
  let other: TableIdentifier
  private let start: Int64 = 1_700_000_000_000_000

  static let hour: Int64 = 3_600_000_000
  /// No operation takes longer than this: files of one that does may be taken for orphans.
  static let longestOperation = 20 * hour

  public var problem: String? { oracle.problem }
  public var simulatedMicroseconds: Int64 { disk.time - start }

  public init(seed: UInt64, keepsLog: Bool = false) throws {
    self.seed = seed
    self.keepsLog = keepsLog
    generator = SeededGenerator(seed: seed)
    disk = TableDisk(time: start)
    clock = SimulatedClock(disk)
    oracle = RowOracle(disk: disk)
    memory = InMemoryCatalog(
      name: "s", warehouse: "/w", io: try FileIO(fileSystem: disk), clock: clock)
    main = try TableIdentifier("db.t")
    other = try TableIdentifier("db.u")
    let kinds: [Actor.Kind] = [
      .writer, .writer, .writer, .compactor, .compactor, .expirer, .expirer, .orphanRemover,
      .tagger, .reader,
    ]
    actors = kinds.enumerated().map { Actor("\($1) \($0)", $1) }
  }

  /// Runs the history to its end, or to the first broken promise.
  public func run(steps: Int = 40) throws {
    let identifiers = Identifiers(seed: seed)
    try RandomIdentifier.$source.withValue(IdentifierSource { identifiers.next() }) {
      try createTables()
      for _ in 0..<steps where problem == nil {
        step()
        checkAtRest(isThorough: false)
      }
      if problem == nil { try drain() }
    }
    if let problem { note("PROBLEM: \(problem)") }
  }

  /// Of all events and all that is on the disk.
  public var digest: UInt64 {
    var digest = eventDigest
    func add(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    for path in disk.paths(below: "/w") {
      add(path.utf8)
      add(disk.bytes(path) ?? [])
    }
    return digest
  }

  func note(_ event: @autoclosure () -> String) {
    let event = event()
    for byte in event.utf8 { eventDigest = (eventDigest ^ UInt64(byte)) &* 0x100_0000_01B3 }
    guard keepsLog else { return }
    log.append(event)
  }

  private func createTables() throws {
    disk.beforeCall = { [unowned self] operation, path throws(StorageError) in
      try self.interrupt(operation, path)
    }
    try memory.createNamespace(main.namespace)
    let spec = PartitionSpec(
      specID: 0,
      fields: [PartitionField(sourceID: 2, fieldID: 1000, name: "p", transform: .identity)])
    for identifier in [main, other] {
      let version = generator.oneIn(2) ? 3 : 2
      let merges = generator.oneIn(2) ? "3" : "100"
      let versions = generator.oneIn(2) ? "2" : "100"
      _ = try memory.createTable(
        identifier,
        TableDefinition(
          schema: TableSchema(fields: [.required(1, "id", .long), .required(2, "p", .int)]),
          partitionSpec: spec,
          properties: [
            "commit.manifest.min-count-to-merge": merges, "commit.retry.num-retries": "3",
            "write.metadata.previous-versions-max": versions,
          ], formatVersion: version))
      note("\(identifier): version \(version), merging \(merges)")
    }
    isQuiet = false
  }
}

// What happens when.
extension TableHistory {
  /// Whoever is at work now.
  private var current: Actor? { stack.last }
  var operation: Operation? { current?.operation }

  private func step() {
    catalog.dropLateRequest(startedBefore: disk.time - Self.longestOperation)
    if generator.oneIn(4) { quietly { catalog.deliverLateRequest() } }
    runOne()
  }

  /// Lets time pass. Who has been at work for too long dies; long pauses come only when nobody works.
  private func passTime() {
    let isIdle = stack.isEmpty && actors.allSatisfy { $0.rest == nil }
    switch generator.below(10) {
    case 0 where isIdle: disk.time += Int64(24 + generator.below(72)) * Self.hour
    case 0, 1, 2: disk.time += Int64(generator.below(6 * 3600)) * 1_000_000
    default: disk.time += Int64(1 + generator.below(60_000_000))
    }
    // The clock of those who work is another one, and jumps.
    switch generator.below(20) {
    case 0: clock.offset = Int64(generator.below(20 * 24) - 10 * 24) * Self.hour
    case 1: clock.offset = Int64(generator.below(7200) - 3600) * 1_000_000
    case 2: clock.offset = 0
    default: break
    }
    for actor in actors
    where (actor.rest != nil || actor.isRunning)
      && actor.startedAt < disk.time - Self.longestOperation
    {
      kill(actor)
    }
  }

  private func kill(_ actor: Actor) {
    actor.rest = nil
    if actor.isRunning { actor.isDead = true }
  }

  /// One step of one who is not within a step.
  private func runOne() {
    passTime()
    let idle = actors.filter { !$0.isRunning }
    // Who has begun goes on more often than others begin.
    let begun = idle.filter { $0.rest != nil }
    let choices = begun.isEmpty || generator.oneIn(3) ? idle : begun
    guard !choices.isEmpty else { return }
    run(choices[generator.below(choices.count)])
  }

  private func run(_ actor: Actor) {
    stack.append(actor)
    actor.isRunning = true
    actor.isDead = false
    defer {
      actor.isRunning = false
      actor.operation = nil
      stack.removeLast()
    }
    do {
      if let rest = actor.rest {
        actor.rest = nil
        try rest()
      } else {
        actor.startedAt = disk.time
        actor.expiriesBefore = expiryCount
        try begin(actor)
      }
    } catch {
      note("\(actor.name): \((error as? IcebergError).map { "\($0.kind)" } ?? "failed")")
      actor.rest = nil
      if !actor.isDead { judge(error, actor) }
    }
    if actor.isDead { actor.rest = nil }
  }

  /// Whether an error is one of those that must be expected.
  private func judge(_ error: any Error, _ actor: Actor) {
    guard let error = error as? IcebergError else {
      return oracle.report("\(actor.name): \(error)")
    }
    switch error.kind {
    case .commitConflict, .commitStateUnknown, .validationFailed: break
    // What was read was expired meanwhile.
    case .notFound where expiryCount > actor.expiriesBefore || actor.kind == .tagger: break
    // A tagger removed it.
    case .notFound where error.message.contains("has no branch"): break
    case .alreadyExists, .invalidArgument:
      if actor.kind != .tagger { oracle.report("\(actor.name): \(error)") }
    default: oracle.report("\(actor.name): \(error)")
    }
  }

  /// Before each call of the disk and the catalog.
  func interrupt(_ operation: String, _ path: String) throws(StorageError) {
    guard !isQuiet else { return }
    callCount += 1
    guard let actor = current else { return }
    // The catalog has taken a commit and cleans up; the oracle hears of the commit only then.
    if operation == "remove", path.hasSuffix(".metadata.json"), catalog.isTaking { return }
    func die() -> StorageError {
      StorageError(.inputOutput, operation: operation, path: path, message: "the process is dead")
    }
    if actor.isDead { throw die() }
    let isCatalog = operation == "commit" || operation == "load"
    let chance = generator.below(10_000)
    if chance < 12 {
      kill(actor)
      throw die()
    }
    if chance < 16 {
      crash()
      throw die()
    }
    guard chance < (isCatalog ? 3000 : 120), stack.count < 4 else { return }
    runOne()
    if actor.isDead { throw die() }
  }

  private func crash() {
    note("crash")
    crashCount += 1
    for actor in actors { kill(actor) }
    disk.crash(&generator)
    checkAtRest(isThorough: true)
  }

  func lie() -> SimulatedCatalog.Lie? {
    !isTruthful && generator.oneIn(6)
      ? SimulatedCatalog.Lie.allCases[generator.below(SimulatedCatalog.Lie.allCases.count)] : nil
  }

  func accepted(_ operation: Operation, _ changes: [TableChange]) {
    operation.acceptedCount += 1
    commitCount += 1
    oracle.require(
      operation.effects.count <= 1 || changes.count == operation.effects.count,
      "a transaction was torn")
    for change in changes {
      for case .removeSnapshots in change.updates { expiryCount += 1 }
    }
    note("taken: \(operation.name)")
  }

  /// Runs without interruptions.
  func quietly(_ body: () throws -> Void) rethrows {
    let before = isQuiet
    isQuiet = true
    defer { isQuiet = before }
    try body()
  }
}

// What an actor's code calls.
extension TableHistory {
  var currentActor: Actor? { current }

  func newRows(_ partition: Int32, _ count: Int) -> [Int64] {
    (0..<count).map { _ in
      defer { nextRow += 3 }
      return nextRow + Int64(partition)
    }
  }

  func fileName() -> String {
    nextFile += 1
    return "\(nextFile)"
  }

  func removed(_ count: Int) { removedFileCount += count }

  /// Commits, as an operation that must happen once if this returns, and not at all if it fails for sure.
  func perform(_ operation: Operation, mayDoNothing: Bool = false, _ body: () throws -> Void) throws
  {
    let actor = current
    actor?.operation = operation
    defer { actor?.operation = nil }
    do {
      try body()
    } catch {
      let isUnknown = (error as? IcebergError)?.kind == .commitStateUnknown
      if actor?.isDead == false, !isUnknown, !operation.effects.isEmpty {
        oracle.require(
          operation.acceptedCount == 0, "\(operation.name) failed, but was committed: \(error)")
      }
      oracle.require(
        operation.acceptedCount <= 1 || operation.effects.isEmpty,
        "\(operation.name) was committed twice")
      throw error
    }
    guard !operation.effects.isEmpty else { return }
    let isDone = operation.acceptedCount == 1 || mayDoNothing && operation.acceptedCount == 0
    oracle.require(
      isDone, "\(operation.name) is done, and was committed \(operation.acceptedCount) times")
  }
}

// What must hold.
extension TableHistory {
  private func checkAtRest(isThorough: Bool) {
    quietly {
      do {
        for identifier in [main, other] {
          let table = try catalog.loadTable(identifier)
          oracle.checkFiles(table.metadata)
          let path = try Location.path(of: table.metadataLocation)
          oracle.require(disk.contains(path), "the table's metadata is missing")
          guard isThorough else { continue }
          // As another engine starts: from the file.
          let read = try TableMetadata(fileContent: try table.io.readAll(table.metadataLocation))
          oracle.require(read == table.metadata, "the metadata file says something else")
          for snapshot in read.snapshots { oracle.check(table, snapshot.snapshotID) }
        }
      } catch { oracle.report("at rest: \(error)") }
    }
  }

  /// Everybody stops, everything that may expire does, days pass, orphans go: what is left is what the
  /// tables need.
  private func drain() throws {
    for actor in actors { actor.rest = nil }
    isQuiet = true
    clock.offset = 0
    checkAtRest(isThorough: true)
    let cleaner = Actor("cleaner", .expirer)
    stack = [cleaner]
    for identifier in [main, other] {
      disk.time += Self.hour
      var vacuum = Vacuum(try catalog.loadTable(identifier), options: VacuumOptions())
      // So that the numbers of metadata files that were never committed are of the past.
      for number in 0..<6 {
        var commit = try catalog.loadTable(identifier).newCommit()
        commit.setProperties(["drain": "\(number)"])
        commit.options.pause = { _ in }
        try settle(cleaner) { _ = try commit.commit() }
      }
      var options = VacuumOptions()
      options.olderThanMilliseconds = .max
      options.retainLast = 1
      options.removesOrphans = false
      vacuum = Vacuum(try catalog.loadTable(identifier), options: options)
      try settle(cleaner) { try self.vacuum(vacuum, mustSucceed: true) }
      disk.time += 96 * Self.hour
      options.expiresSnapshots = false
      options.removesOrphans = true
      vacuum = Vacuum(try catalog.loadTable(identifier), options: options)
      try settle(cleaner) { try self.vacuum(vacuum, mustSucceed: true) }
      let table = try catalog.loadTable(identifier)
      for snapshot in table.metadata.snapshots { oracle.check(table, snapshot.snapshotID) }
      try checkListing(table)
    }
    stack = []
  }

  private func settle(_ actor: Actor, _ body: () throws -> Void) throws {
    actor.operation = Operation("drain", startedAt: disk.time, isVacuum: true)
    isTruthful = true
    defer { isTruthful = false }
    try body()
  }

  func vacuum(_ job: Vacuum, mustSucceed: Bool) throws {
    var vacuum = job
    vacuum.deletionThreads = 1
    vacuum.commitOptions.pause = { _ in }
    let result = try vacuum.execute(try vacuum.plan())
    removed(result.deletedFileCount)
    if mustSucceed, let failure = result.failure { throw failure }
  }

  private func checkListing(_ table: Table) throws {
    var needed = oracle.reachable(table.metadata)
    needed.insert(try Location.path(of: table.metadataLocation))
    for entry in table.metadata.metadataLog {
      needed.insert(try Location.path(of: entry.metadataFile))
    }
    let folder = try Location.path(of: table.location)
    for path in disk.paths(below: folder) where !needed.contains(path) {
      oracle.report("'\(path)' is left over")
    }
    // Old versions of the metadata may be gone; all else must be there.
    for path in needed where !path.hasSuffix(".metadata.json") && !disk.contains(path) {
      oracle.report("'\(path)' is missing at the end")
    }
  }
}

/// What users of the tables take for the time.
final class SimulatedClock: WallClock, @unchecked Sendable {
  // Unchecked: a history has one thread.
  private let disk: TableDisk
  var offset: Int64 = 0

  init(_ disk: TableDisk) { self.disk = disk }

  func nowMicroseconds() -> Int64 { disk.time + offset }
}

/// The library's identifiers, of a seed.
private final class Identifiers: @unchecked Sendable {
  // Unchecked: a history has one thread.
  private var generator: SeededGenerator

  init(seed: UInt64) { generator = SeededGenerator(seed: seed ^ 0x5EED) }

  func next() -> UInt64 { generator.next() }
}
