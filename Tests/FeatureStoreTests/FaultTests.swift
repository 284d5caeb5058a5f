import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// A disk that fails at every call of every operation, once or from then on: what was acknowledged answers,
/// each record lands offline exactly once, definitions are the old or the new ones, and the same operation
/// succeeds once the disk works again.
@Suite struct FaultTests {
  enum Operation: CaseIterable, Sendable {
    case put, flush, createGroup, addFeatures, createView, materialize, closeFlushing, reopen
  }

  /// A store with records that are offline, others that are not yet, and one that was purged; put back for
  /// each failure. Always at the same place, for tables know their own.
  private final class Place {
    let fixture: StoreFixture
    private let aside: String
    static let acknowledged = ["b": 2, "c": 3, "d": 4] as [String: Int64]

    init() throws {
      fixture = try StoreFixture(options: FaultTests.options())
      aside = fixture.directory + "-aside"
      let store = try FeatureStore.open(at: fixture.directory, options: FaultTests.options())
      try store.createGroup(StoreFixture.group())
      for (sensor, value) in [("a", Int64(1)), ("b", 2), ("c", 3)] { try put(store, sensor, value) }
      try store.flush()
      try store.purge("readings", key: ["sensor": "a"])
      try put(store, "d", 4)
      try store.close()
      try FileManager.default.copyItem(atPath: fixture.directory, toPath: aside)
    }

    func restore() throws {
      try FileManager.default.removeItem(atPath: fixture.directory)
      try FileManager.default.copyItem(atPath: aside, toPath: fixture.directory)
    }
  }

  private static func options(flushing: Bool = false) -> FeatureStore.Options {
    var options = FeatureStore.Options()
    options.logSegmentBytes = 16 << 10
    options.logMinimumBytes = 16 << 10
    options.flushesAutomatically = flushing
    options.flushIntervalSeconds = 3600
    return options
  }

  private static func put(_ store: FeatureStore, _ sensor: String, _ value: Int64) throws {
    try store.put(
      "readings",
      fields: ["sensor": sensor, "at": "2026-01-01T00:00:00Z", "value": "\(value)"])
  }

  private func perform(
    _ operation: Operation, _ store: FeatureStore, _ files: FailingFileSystem
  ) throws {
    switch operation {
    case .put: try Self.put(store, "e", 5)
    case .flush: try store.flush()
    case .createGroup: try store.createGroup(StoreFixture.group("others"))
    case .addFeatures: try store.addFeatures([Feature("more", .double)], to: "readings")
    case .createView:
      try store.createView(
        FeatureView(name: "view", features: [FeatureReference(group: "readings", feature: "value")])
      )
    case .materialize: _ = try store.materialize("readings")
    case .closeFlushing: try store.close()
    case .reopen:
      try store.close()
      let again = try FeatureStore.open(
        at: store.directory, options: Self.options(), fileSystem: files)
      try again.close()
    }
  }

  private func value(_ store: FeatureStore, _ sensor: String) throws -> Int64? {
    let answer = try store.get("readings", fields: ["sensor": sensor], features: ["value"])[0]
    guard case .long(let value) = answer.value else { return nil }
    return value
  }

  /// What must be true whatever failed; `isDone`: the operation returned.
  private func check(
    _ store: FeatureStore, _ operation: Operation, isDone: Bool, _ comment: Comment
  ) throws {
    var expected = Place.acknowledged
    if operation == .put {
      let written = try value(store, "e")
      #expect(written == 5 || !isDone && written == nil, comment)
      expected["e"] = written
    }
    let brought = try value(store, "a")
    #expect(
      operation == .materialize ? brought == 1 || !isDone && brought == nil : brought == nil,
      comment)
    for (sensor, value) in expected { #expect(try self.value(store, sensor) == value, comment) }
    let names = store.groups.map(\.name)
    if operation == .createGroup {
      #expect(names == ["readings", "others"] || !isDone && names == ["readings"], comment)
    }
    if operation == .addFeatures {
      let features = try store.group("readings").features.count
      #expect(features == 3 || !isDone && features == 2, comment)
    }
    if operation == .createView { #expect(store.views.count == 1 || !isDone, comment) }
    // Exactly once, whatever became of a flush.
    try store.flush()
    let rows = try StoreFixture.offlineRows(store)
    expected["a"] = 1
    #expect(rows.map(\.sensor).sorted() == expected.keys.sorted(), comment)
    #expect(rows.allSatisfy { expected[$0.sensor] == $0.value && !$0.isDeleted }, comment)
    #expect(Set(rows.map(\.lsn)).count == rows.count, comment)
    let report = try store.verify()
    #expect(report.damages == [], comment)
  }

  /// The operation again, on a disk that works; what is there already is no failure.
  private func repeats(_ operation: Operation, _ store: FeatureStore) throws {
    switch operation {
    case .createGroup where store.groups.count == 2: return
    case .createView where store.views.count == 1: return
    case .addFeatures where try store.group("readings").features.count == 3: return
    default: try perform(operation, store, FailingFileSystem(POSIXFileSystem()))
    }
  }

  @Test(arguments: Operation.allCases)
  func aFailureAtAnyCallLosesNothingAndDoublesNothing(operation: Operation) throws {
    let place = try Place()
    var count = 0
    for (kind, lasts) in [(FailingFileSystem.Fault.Kind.inputOutput, false), (.full, true)] {
      var call = 1
      while true {
        try place.restore()
        let comment: Comment = "\(operation), \(kind)\(lasts ? " for ever" : "") from call \(call)"
        let files = FailingFileSystem(POSIXFileSystem())
        let store = try FeatureStore.open(
          at: place.fixture.directory, options: Self.options(flushing: operation == .closeFlushing),
          fileSystem: files)
        files.inject(.init(call: call, kind: kind, lasts: lasts))
        var isDone = true
        do { try perform(operation, store, files) } catch {
          isDone = false
          #expect(error is FeatureStoreError, comment)
        }
        let isReached = files.calls >= call
        // Reads of what is mapped go on, whatever the disk does.
        for (sensor, value) in Place.acknowledged {
          #expect(try self.value(store, sensor) == value, comment)
        }
        do { try store.close() } catch { #expect(files.calls >= call, comment) }
        files.inject(nil)
        let again = try FeatureStore.open(at: place.fixture.directory, options: Self.options())
        try check(again, operation, isDone: isDone, comment)
        try repeats(operation, again)
        try again.close()
        guard isReached else {
          #expect(isDone && call > 3, comment)
          break
        }
        count += 1
        call += 1
      }
    }
    print("\(count) failures of \(operation)")
  }

  /// Between the look at the table and the commit another process, which has the same log, brings the same
  /// records: what is brought a second time is refused.
  @Test func aFlushThatSomebodyElseDidMeanwhileIsRefused() throws {
    let fixture = try StoreFixture(options: Self.options())
    let files = FailingFileSystem(POSIXFileSystem())
    let store = try FeatureStore.open(
      at: fixture.directory, options: Self.options(), fileSystem: files)
    try store.createGroup(StoreFixture.group())
    try Self.put(store, "a", 1)
    let failures = Lock<[String]>([])
    let hasCome = Lock(false)
    files.watch { [directory = fixture.directory] operation, path in
      let isFirst = hasCome.withLock { hasCome in
        let isFirst = operation == "open" && path.hasSuffix(".parquet") && !hasCome
        hasCome = hasCome || isFirst
        return isFirst
      }
      guard isFirst else { return }
      do {
        let other = try FeatureStore.open(at: directory, access: .offline)
        var commit = try other.offlineTable("readings").newCommit()
        commit.setProperties(["fstore.lsn": "1"])
        _ = try commit.commit()
      } catch { failures.withLock { $0.append("\(error)") } }
    }
    let error = #expect(throws: FeatureStoreError.self) { try store.flush() }
    files.watch(nil)
    #expect(
      hasCome.withLock { $0 } && failures.withLock { $0 } == [], "\(String(describing: error))")
    #expect(try StoreFixture.offlineRows(store).isEmpty)
    // Nothing is left to bring.
    #expect(try store.flush().isEmpty)
    try store.close()
  }
}
