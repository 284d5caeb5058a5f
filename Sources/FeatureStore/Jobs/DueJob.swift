/// A job whose time has come, and why.
public struct DueJob: Hashable, Sendable {
  public var group: String
  public var job: MaintenancePolicy.Job
  public var trigger: String

  public init(group: String, job: MaintenancePolicy.Job, trigger: String) {
    self.group = group
    self.job = job
    self.trigger = trigger
  }
}

/// What a policy knows about one job at one moment; pure, so that clocks and downtimes can be tested.
struct JobTiming: Sendable {
  var job: MaintenancePolicy.Job
  /// Since when the policy holds.
  var sinceMicroseconds: Int64
  /// When the last run of the job began, whatever came of it; nil if it never ran.
  var lastStartMicroseconds: Int64?

  /// From where schedules count: times before are past, made up for or not.
  var referenceMicroseconds: Int64 {
    max(lastStartMicroseconds ?? sinceMicroseconds, sinceMicroseconds)
  }

  /// Whether what was noted lies in the future: the wall clock was set back meanwhile.
  func isClockSetBack(now: Int64) -> Bool { referenceMicroseconds > now }

  /// Why the job is due by its schedule; nil when it is not. However many times were missed, they are one.
  func scheduleTrigger(now: Int64) -> String? {
    guard let schedule = job.schedule,
      let next = schedule.next(afterMicroseconds: referenceMicroseconds), next <= now
    else { return nil }
    return "schedule \(schedule)"
  }

  /// When the schedule next asks for a run; nil without a schedule.
  func nextMicroseconds(now: Int64) -> Int64? {
    job.schedule?.next(afterMicroseconds: min(referenceMicroseconds, now))
  }

  /// The first threshold that is reached, in the order in which they are declared.
  func thresholdTrigger(_ values: [MaintenancePolicy.Threshold: Int64]) -> String? {
    for threshold in MaintenancePolicy.Threshold.allCases {
      if let limit = job.thresholds[threshold], let value = values[threshold], value >= limit {
        return "\(threshold.rawValue) \(value) >= \(limit)"
      }
    }
    return nil
  }
}
