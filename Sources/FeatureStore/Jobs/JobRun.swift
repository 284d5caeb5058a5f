public import JSON

/// One run of a maintenance job: when, why, and what came of it.
public struct JobRun: Hashable, Sendable {
  public enum Outcome: String, Hashable, Sendable, CaseIterable {
    /// Still at it; or the process died, which the next run of the job finds out.
    case running
    case succeeded
    /// Something was done and something was not.
    case partial
    case failed
    /// Its time limit came: what was finished by then is committed.
    case timedOut = "timed-out"
    /// Somebody else maintained the table.
    case locked
    /// The process ended in the middle. Nothing is lost by that; the next run begins anew.
    case abandoned
  }

  /// Sorts by the moment of the start.
  public var id: String
  public var group: String
  public var operation: MaintenancePolicy.Operation
  /// Why it ran: `schedule 0 */6 * * *`, `small-files 120 >= 100`, `asked for`.
  public var trigger: String
  public var startMicroseconds: Int64
  public var endMicroseconds: Int64?
  public var outcome: Outcome
  public var attemptCount: Int
  /// Why it failed, or was left in part.
  public var error: String?
  /// What the operation reports.
  public var report: JSONValue?

  public var durationMicroseconds: Int64? {
    endMicroseconds.map { $0.subtractingReportingOverflow(startMicroseconds).partialValue }
  }

  init(
    id: String, group: String, operation: MaintenancePolicy.Operation, trigger: String,
    startMicroseconds: Int64, outcome: Outcome = .running
  ) {
    self.id = id
    self.group = group
    self.operation = operation
    self.trigger = trigger
    self.startMicroseconds = startMicroseconds
    self.outcome = outcome
    attemptCount = 0
  }

  public var json: JSONValue {
    [
      "id": .string(id), "group": .string(group), "operation": .string(operation.rawValue),
      "trigger": .string(trigger), "start_microseconds": .integer(startMicroseconds),
      "end_microseconds": endMicroseconds.map { .integer($0) } ?? .null,
      "outcome": .string(outcome.rawValue), "attempts": .integer(Int64(attemptCount)),
      "error": error.map { .string($0) } ?? .null, "report": report ?? .null,
    ]
  }

  /// nil for what is no run: a damaged record must not keep jobs from running.
  init?(json: JSONValue) {
    guard let id = json["id"]?.stringValue, let group = json["group"]?.stringValue,
      let operation = json["operation"]?.stringValue.flatMap(
        MaintenancePolicy.Operation.init(rawValue:)),
      let trigger = json["trigger"]?.stringValue,
      let start = json["start_microseconds"]?.int64Value,
      let outcome = json["outcome"]?.stringValue.flatMap(Outcome.init(rawValue:)),
      let attempts = json["attempts"]?.int64Value
    else { return nil }
    self.init(
      id: id, group: group, operation: operation, trigger: trigger, startMicroseconds: start,
      outcome: outcome)
    endMicroseconds = json["end_microseconds"]?.int64Value
    attemptCount = Int(clamping: attempts)
    error = json["error"]?.stringValue
    report = json["report"].flatMap { $0 == .null ? nil : $0 }
  }
}
