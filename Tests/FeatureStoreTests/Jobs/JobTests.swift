import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Storage
import Synchronization
import Testing

/// A wall clock that tests set.
final class SettableClock: WallClock {
  private let time: Atomic<Int64>

  init(_ text: String) throws { time = Atomic(try CronExpressionTests.moment(text)) }

  func nowMicroseconds() -> Int64 { time.load(ordering: .sequentiallyConsistent) }

  func set(_ text: String) throws {
    time.store(try CronExpressionTests.moment(text), ordering: .sequentiallyConsistent)
  }
}

@Suite struct JobTests {
  let fixture: StoreFixture
  let clock: SettableClock

  init() throws {
    fixture = try StoreFixture()
    clock = try SettableClock("2026-11-01T00:00:00Z")
    let store = try FeatureStore.open(at: fixture.directory, clock: clock)
    try store.createGroup(StoreFixture.group())
    for index in 0..<6 {
      try store.put(
        "readings",
        fields: ["sensor": "a", "at": "2026-01-01T00:00:0\(index)Z", "value": "\(index)"])
      try store.flush()
    }
    try store.close()
  }

  func open() throws -> FeatureStore {
    try FeatureStore.open(at: fixture.directory, access: .offline, clock: clock)
  }

  func fileCount(_ store: FeatureStore) throws -> Int { try store.dataFiles("readings").count }

  @Test func aJobIsDueOnceHoweverManyTimesWereMissed() throws {
    let store = try open()
    try store.setMaintenancePolicy(
      MaintenancePolicy(jobs: [.init(operation: .optimize, schedule: try .init("0 */6 * * *"))]),
      for: "readings")
    #expect(try store.dueJobs().isEmpty)
    try clock.set("2026-11-01T05:59:00Z")
    #expect(try store.dueJobs().isEmpty)
    try clock.set("2026-11-09T13:00:00Z")
    #expect(try store.dueJobs().map(\.trigger) == ["schedule 0 */6 * * *"])
    let runs = try store.runDueJobs()
    #expect(runs.map(\.outcome) == [.succeeded] && runs[0].attemptCount == 1)
    #expect(try fileCount(store) == 1)
    #expect(try store.dueJobs().isEmpty)
    #expect(try store.runDueJobs().isEmpty)
    try clock.set("2026-11-09T18:00:00Z")
    #expect(try store.dueJobs().count == 1)
    #expect(try store.jobRuns().runs == runs)
  }

  @Test func aThresholdOfTheTableMakesAJobDue() throws {
    let store = try open()
    func set(_ threshold: MaintenancePolicy.Threshold, _ value: Int64) throws {
      try store.setMaintenancePolicy(
        MaintenancePolicy(jobs: [.init(operation: .optimize, thresholds: [threshold: value])]),
        for: "readings")
    }
    try set(.smallFiles, 7)
    #expect(try store.dueJobs().isEmpty)
    try set(.smallFiles, 6)
    #expect(try store.dueJobs().map(\.trigger) == ["small-files 6 >= 6"])
    try store.runDueJobs()
    #expect(try store.dueJobs().isEmpty)
    try set(.snapshots, 7)
    #expect(try store.dueJobs().map(\.trigger) == ["snapshots 7 >= 7"])
    try set(.metadataBytes, 1 << 40)
    #expect(try store.dueJobs().isEmpty)
  }

  @Test func aClockThatIsSetBackStopsNoJobForEver() throws {
    let store = try open()
    // The clock is years ahead while a policy is set and a job runs.
    try clock.set("2031-01-01T00:30:00Z")
    try store.setMaintenancePolicy(
      MaintenancePolicy(jobs: [.init(operation: .optimize, schedule: try .init("@hourly"))]),
      for: "readings")
    try clock.set("2031-01-01T01:00:00Z")
    #expect(try store.runDueJobs().count == 1)
    try clock.set("2026-11-02T00:30:00Z")
    #expect(try store.dueJobs().isEmpty)
    #expect(try store.jobRuns().runs.map { $0.error?.contains("set back") } == [true])
    try clock.set("2026-11-02T01:00:00Z")
    #expect(try store.runDueJobs().count == 1)
  }

  @Test func aRunBesideAnotherIsLockedAndAHolderThatDiedIsTakenOver() throws {
    let store = try open()
    let job = MaintenancePolicy.Job(operation: .optimize, schedule: try .init("@hourly"))
    let due = DueJob(group: "readings", job: job, trigger: "asked for")
    // What a process leaves that was killed in the middle: a run without an end, and no lock.
    var inner: [JobRun.Outcome] = []
    let outer = try #require(try Self.killedRun(in: fixture.directory))
    #expect(try store.jobRuns().runs.map(\.outcome) == [.running])
    var options = FeatureStore.JobOptions()
    let other = try open()
    let found = Mutex<[JobRun.Outcome]>([])
    options.willRun = { due in
      do {
        let run = try other.runJob(due)
        found.withLock { $0.append(run.outcome) }
      } catch { Issue.record(error) }
    }
    let run = try store.runJob(due, options: options)
    inner = found.withLock { $0 }
    #expect(inner == [.locked])
    #expect(run.outcome == .succeeded)
    let runs = try store.jobRuns().runs
    #expect(runs.first { $0.id == outer }?.outcome == .abandoned)
    #expect(runs.first { $0.id == run.id }?.outcome == .succeeded)
  }

  /// Writes a run that has begun; returns its id.
  static func killedRun(in store: String) throws -> String? {
    let id = "0000000000000001-00000001"
    let directory = store + "/jobs/history"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true)
    let text = """
      {"id": "\(id)", "group": "readings", "operation": "optimize", "trigger": "asked for",
       "start_microseconds": 1, "end_microseconds": null, "outcome": "running", "attempts": 0}
      """
    try text.write(toFile: directory + "/\(id).json", atomically: true, encoding: .utf8)
    return id
  }

  @Test func aFailedRunIsTriedAgainAndNoted() throws {
    let store = try open()
    let job = MaintenancePolicy.Job(
      operation: .optimize, schedule: try .init("@hourly"), retryCount: 2)
    var options = FeatureStore.JobOptions()
    options.retryPauseMilliseconds = 1
    // The first files of the table are gone: nothing to retry will bring them back.
    for file in try store.dataFiles("readings") {
      let path = file.path.replacingOccurrences(of: "file://", with: "")
      try FileManager.default.removeItem(atPath: path)
    }
    let due = DueJob(group: "readings", job: job, trigger: "asked for")
    let run = try store.runJob(due, options: options)
    #expect(run.outcome == .partial, "\(run)")
    #expect(run.error != nil)
    #expect(try store.jobRuns().runs == [run])
  }

  @Test func aTimeLimitEndsARunAndSaysSo() throws {
    let store = try open()
    let job = MaintenancePolicy.Job(operation: .optimize, schedule: try .init("@hourly"))
    var options = FeatureStore.JobOptions()
    options.isStopped = { true }
    let due = DueJob(group: "readings", job: job, trigger: "asked for")
    let run = try store.runJob(due, options: options)
    #expect(run.outcome == .timedOut)
    #expect(try fileCount(store) == 6)
    #expect(try store.runJob(due).outcome == .succeeded)
    #expect(try fileCount(store) == 1)
  }

  @Test func wrongPoliciesAreRefusedAndNothingChanges() throws {
    let store = try open()
    func refuse(_ job: MaintenancePolicy.Job, says text: String) throws {
      let error = #expect(throws: FeatureStoreError.self) {
        try store.setMaintenancePolicy(MaintenancePolicy(jobs: [job]), for: "readings")
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains(text) == true, "\(String(describing: error))")
    }
    let hourly = try CronExpression("@hourly")
    try refuse(.init(operation: .optimize), says: "never due")
    try refuse(
      .init(operation: .optimize, schedule: hourly, options: ["target": "1"]), says: "target")
    try refuse(
      .init(operation: .vacuum, schedule: hourly, options: ["older-than-ms": "x"]), says: "'x'")
    try refuse(.init(operation: .vacuum, thresholds: [.snapshots: 0]), says: "at least 1")
    try refuse(.init(operation: .vacuum, schedule: hourly, timeoutSeconds: 0), says: "timeout")
    #expect(try store.maintenancePolicy("readings") == nil)
    #expect(throws: FeatureStoreError.self) {
      try store.setMaintenancePolicy(MaintenancePolicy(jobs: []), for: "reading")
    }
  }

  @Test func damagedPoliciesAreAnErrorAndDamagedRunsAreCounted() throws {
    let store = try open()
    let job = MaintenancePolicy.Job(
      operation: .vacuum, schedule: try .init("@daily"), thresholds: [.snapshots: 100],
      options: ["min-snapshots-to-keep": "3"], retryCount: 5, timeoutSeconds: 60)
    try store.setMaintenancePolicy(MaintenancePolicy(jobs: [job]), for: "readings")
    #expect(try open().maintenancePolicy("readings")?.jobs == [job])
    _ = try Self.killedRun(in: fixture.directory)
    let history = fixture.directory + "/jobs/history/"
    try "{".write(toFile: history + "0000000000000002-x.json", atomically: true, encoding: .utf8)
    let (runs, unreadable) = try store.jobRuns()
    #expect(runs.count == 1 && unreadable == 1)
    let path = fixture.directory + "/jobs/policies.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    for damaged in [String(text.dropLast(5)), text.replacingOccurrences(of: "@daily", with: "x")] {
      try damaged.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(throws: FeatureStoreError.self) { try store.dueJobs() }
    }
  }

  @Test func theSchedulerRunsWhatBecomesDue() throws {
    let store = try open()
    try store.setMaintenancePolicy(
      MaintenancePolicy(jobs: [.init(operation: .optimize, thresholds: [.smallFiles: 5])]),
      for: "readings")
    let finished = Monitor(0)
    var options = FeatureStore.JobOptions()
    options.didRun = { _ in
      finished.withLock { $0 += 1 }
      finished.broadcast()
    }
    let scheduler = try MaintenanceScheduler(store, intervalSeconds: 1, options: options)
    let count = finished.wait(timeoutMilliseconds: 60_000) { $0 > 0 ? $0 : nil }
    #expect(count == 1)
    scheduler.stop()
    #expect(scheduler.failure == nil)
    #expect(try fileCount(store) == 1)
    #expect(try store.jobRuns().runs.map(\.outcome) == [.succeeded])
  }
}
