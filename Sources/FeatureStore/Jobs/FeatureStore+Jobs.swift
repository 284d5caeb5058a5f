internal import FeatureModel
internal import Iceberg
internal import Storage

// Running maintenance jobs: once, for cron, or from `MaintenanceScheduler`.
extension FeatureStore {
  /// How runs report and wait.
  public struct JobOptions: Sendable {
    /// Called before each run, from the thread that runs it.
    public var willRun: @Sendable (DueJob) -> Void = { _ in }
    /// Called with the run's end.
    public var didRun: @Sendable (JobRun) -> Void = { _ in }
    /// The pause before the first retry; each next one is twice as long.
    public var retryPauseMilliseconds = 1000
    /// Asked again and again; true ends the run as a time limit would.
    public var isStopped: @Sendable () -> Bool = { false }

    public init() {}
  }

  /// The jobs whose schedule or threshold asks for a run now, by group; optimize comes before vacuum.
  ///
  /// A job that missed any number of its times, because nobody asked or the machine was down, is due once. If the wall
  /// clock was set back, schedules count from now on. Costs a plan of each table whose job has a threshold.
  public func dueJobs() throws(FeatureStoreError) -> [DueJob] {
    let now = clock.nowMicroseconds()
    let lastStarts = try lastStarts()
    var due: [DueJob] = []
    for (name, entry) in try maintenancePolicies().entries.sorted(by: { $0.key < $1.key }) {
      // The group may have been an older definition's; a policy without a group is nobody's.
      guard groups.contains(where: { $0.name == name && $0.isOffline }) else { continue }
      for job in entry.policy.jobs.sorted(by: { $0.operation.rawValue < $1.operation.rawValue }) {
        let timing = JobTiming(
          job: job, sinceMicroseconds: entry.sinceMicroseconds,
          lastStartMicroseconds: lastStarts[JobKey(group: name, operation: job.operation)])
        if timing.isClockSetBack(now: now) {
          try noteClockSetBack(name, job.operation, now)
          continue
        }
        var trigger = timing.scheduleTrigger(now: now)
        if trigger == nil, !job.thresholds.isEmpty {
          trigger = timing.thresholdTrigger(try thresholdValues(name, job))
        }
        if let trigger { due.append(DueJob(group: name, job: job, trigger: trigger)) }
      }
    }
    return due
  }

  /// When each job with a schedule is due next, in microseconds since 1970.
  public func nextScheduledRuns() throws(FeatureStoreError) -> [(due: DueJob, microseconds: Int64)]
  {
    let now = clock.nowMicroseconds()
    let lastStarts = try lastStarts()
    var runs: [(due: DueJob, microseconds: Int64)] = []
    for (name, entry) in try maintenancePolicies().entries.sorted(by: { $0.key < $1.key }) {
      for job in entry.policy.jobs {
        let timing = JobTiming(
          job: job, sinceMicroseconds: entry.sinceMicroseconds,
          lastStartMicroseconds: lastStarts[JobKey(group: name, operation: job.operation)])
        guard let next = timing.nextMicroseconds(now: now), let schedule = job.schedule else {
          continue
        }
        runs.append((DueJob(group: name, job: job, trigger: "schedule \(schedule)"), next))
      }
    }
    return runs
  }

  private struct JobKey: Hashable {
    var group: String
    var operation: MaintenancePolicy.Operation
  }

  /// When each job last began, from one reading of the history.
  private func lastStarts() throws(FeatureStoreError) -> [JobKey: Int64] {
    do {
      let runs = try jobHistory.runs().runs
      // The newest come first.
      return Dictionary(
        runs.map { (JobKey(group: $0.group, operation: $0.operation), $0.startMicroseconds) }
      ) { newest, _ in newest }
    } catch { throw FeatureStoreError(error) }
  }

  private func noteClockSetBack(
    _ group: String, _ operation: MaintenancePolicy.Operation, _ now: Int64
  ) throws(FeatureStoreError) {
    do {
      // What lies in the future would stay the newest until then.
      for run in try jobHistory.runs().runs
      where run.group == group && run.operation == operation && run.startMicroseconds > now {
        var moved = run
        try jobHistory.remove(run)
        moved.id = JobHistory.id(startMicroseconds: now)
        moved.startMicroseconds = now
        moved.endMicroseconds = now
        moved.error =
          "the clock had been set back: it said \(run.startMicroseconds) when this began"
        try jobHistory.save(moved)
      }
      var policies = try maintenancePolicies()
      if let entry = policies.entries[group], entry.sinceMicroseconds > now {
        policies.entries[group]?.sinceMicroseconds = now
        try savePolicies(policies)
      }
    } catch { throw FeatureStoreError(error) }
  }

  /// What the thresholds of a job are compared with.
  func thresholdValues(
    _ group: String, _ job: MaintenancePolicy.Job
  ) throws(FeatureStoreError) -> [MaintenancePolicy.Threshold: Int64] {
    do {
      let health = try TableHealth(
        offlineTable(group),
        options: job.operation == .optimize ? job.options : [:])
      return [
        .smallFiles: Int64(health.rewrittenFileCount),
        .deletePercent: health.deletePercent,
        .snapshots: Int64(health.snapshotCount),
        .manifests: Int64(health.manifestCount),
        .deleteFiles: Int64(health.deleteFileCount),
        .metadataBytes: health.metadataBytes,
      ]
    } catch { throw FeatureStoreError(error) }
  }

  /// Runs the jobs that are due, one after the other, and notes each run. A job that fails does not keep the
  /// others from running; what failed is in its run.
  @discardableResult
  public func runDueJobs(
    options: JobOptions = JobOptions()
  ) throws(FeatureStoreError) -> [JobRun] {
    var runs: [JobRun] = []
    for due in try dueJobs() {
      if options.isStopped() { break }
      runs.append(try runJob(due, options: options))
    }
    return runs
  }

  /// Runs one job now, due or not, and notes it. Throws only when the run cannot be noted.
  ///
  /// At most one process runs a job: who comes second gets a run with the outcome `locked`. A holder that died holds
  /// nothing, and its run is noted as `abandoned`.
  @discardableResult
  public func runJob(
    _ due: DueJob, options: JobOptions = JobOptions()
  ) throws(FeatureStoreError) -> JobRun {
    let now = clock.nowMicroseconds()
    var run = JobRun(
      id: JobHistory.id(startMicroseconds: now), group: due.group, operation: due.job.operation,
      trigger: due.trigger, startMicroseconds: now)
    do {
      let lock: any FileLock
      do throws(StorageError) {
        lock = try fileSystem.lock(
          StoragePath.join(
            StoragePath.join(directory, "jobs"),
            ".\(due.group).\(due.job.operation.rawValue).lock"),
          holder: "job \(due.group) \(due.job.operation.rawValue)")
      } catch {
        guard error.kind == .locked else { throw error }
        run.outcome = .locked
        run.error = error.message
        run.endMicroseconds = now
        return run
      }
      defer { lock.release() }
      try noteAbandoned(due)
      try jobHistory.save(run)
      options.willRun(due)
      perform(due, &run, options)
      run.endMicroseconds = max(clock.nowMicroseconds(), now)
      try jobHistory.save(run)
      try jobHistory.prune()
    } catch { throw FeatureStoreError(error) }
    options.didRun(run)
    return run
  }

  /// Who holds the job's lock knows that no other run of it is alive.
  private func noteAbandoned(_ due: DueJob) throws(StorageError) {
    let running = try jobHistory.runs {
      $0.group == due.group && $0.operation == due.job.operation && $0.outcome == .running
    }.runs
    for var run in running {
      run.outcome = .abandoned
      run.error = "the process that ran it ended in the middle"
      try jobHistory.save(run)
    }
  }

  private func perform(_ due: DueJob, _ run: inout JobRun, _ options: JobOptions) {
    let attempts = MaintenanceAttempts(
      retryCount: due.job.retryCount, timeoutSeconds: due.job.timeoutSeconds,
      pauseMilliseconds: options.retryPauseMilliseconds, isStopped: options.isStopped)
    do throws(FeatureStoreError) {
      let report = try attempts.run { () throws(FeatureStoreError) in
        run.attemptCount += 1
        return try perform(due) { attempts.isOver }
      }
      run.report = report.json
      run.outcome = report.isPartial ? (attempts.isOver ? .timedOut : .partial) : .succeeded
      run.error = report.isPartial ? report.text : nil
    } catch {
      run.outcome = error.code == .locked ? .locked : attempts.isOver ? .timedOut : .failed
      run.error = error.message
    }
  }

  private func perform(
    _ due: DueJob, isStopped: @escaping @Sendable () -> Bool
  ) throws(FeatureStoreError) -> MaintenanceReport {
    switch due.job.operation {
    case .optimize: try optimize(due.group, options: due.job.options, isStopped: isStopped)
    case .rewriteManifests: try rewriteManifests(due.group, options: due.job.options)
    case .rewritePositionDeletes:
      try rewritePositionDeletes(due.group, options: due.job.options, isStopped: isStopped)
    case .vacuum:
      try vacuum(due.group, request: due.job.vacuumRequest(), isStopped: isStopped)
    }
  }
}
