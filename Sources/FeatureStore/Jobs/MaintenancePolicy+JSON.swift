internal import Iceberg
public import JSON

// Policies as JSON: what `jobs/policies.json` holds and what `fstore jobs show --json` prints.

extension MaintenancePolicy.Job {
  public var json: JSONValue {
    var thresholds = JSONObject()
    for threshold in MaintenancePolicy.Threshold.allCases {
      if let value = self.thresholds[threshold] { thresholds[threshold.rawValue] = .integer(value) }
    }
    let options = self.options.sorted { $0.key < $1.key }.map {
      ($0.key, JSONValue.string($0.value))
    }
    return [
      "operation": .string(operation.rawValue),
      "schedule": schedule.map { .string($0.description) } ?? .null,
      "thresholds": .object(thresholds), "options": .object(JSONObject(options)),
      "retries": .integer(Int64(retryCount)),
      "timeout_seconds": timeoutSeconds.map { .integer($0) } ?? .null,
    ]
  }

  init(json: JSONValue) throws(FeatureStoreError) {
    guard let name = json["operation"]?.stringValue,
      let operation = MaintenancePolicy.Operation(rawValue: name)
    else { throw Self.damaged("a job has no known operation") }
    self.init(operation: operation)
    if let text = json["schedule"]?.stringValue { schedule = try CronExpression(text) }
    for (key, value) in json["thresholds"]?.objectValue.map({ Array($0.members) }) ?? [] {
      guard let threshold = MaintenancePolicy.Threshold(rawValue: key), let value = value.int64Value
      else { throw Self.damaged("'\(key)' is no threshold") }
      thresholds[threshold] = value
    }
    for (key, value) in json["options"]?.objectValue.map({ Array($0.members) }) ?? [] {
      guard let value = value.stringValue else { throw Self.damaged("option '\(key)' is no text") }
      options[key] = value
    }
    if let count = json["retries"]?.int64Value { retryCount = Int(clamping: count) }
    timeoutSeconds = json["timeout_seconds"]?.int64Value
    try validate()
  }

  private static func damaged(_ message: String) -> FeatureStoreError {
    FeatureStoreError(.corrupt, "the maintenance policies are damaged: \(message)")
  }

  /// Throws `.invalidArgument` for a job that could never run, or that asks for what there is not.
  func validate() throws(FeatureStoreError) {
    func invalid(_ message: String) -> FeatureStoreError {
      FeatureStoreError(.invalidArgument, "a job of \(operation.rawValue): \(message)")
    }
    guard schedule != nil || !thresholds.isEmpty else {
      throw invalid("it needs a schedule or a threshold, else it is never due")
    }
    for (threshold, value) in thresholds where value < 1 {
      throw invalid("the threshold \(threshold.rawValue) is \(value); it takes at least 1")
    }
    guard (0...100).contains(retryCount) else {
      throw invalid("\(retryCount) retries; it takes 0 to 100")
    }
    if let timeoutSeconds, timeoutSeconds < 1 {
      throw invalid("a timeout of \(timeoutSeconds) seconds")
    }
    do {
      switch operation {
      case .optimize: _ = try RewriteDataFilesOptions(options, tableProperties: [:])
      case .rewriteManifests: _ = try RewriteManifests.Options(options)
      case .rewritePositionDeletes: _ = try RewritePositionDeleteFiles.Options(options)
      case .vacuum: _ = try vacuumRequest()
      }
    } catch { throw FeatureStoreError(error) }
  }

  func vacuumRequest() throws(FeatureStoreError) -> FeatureStore.VacuumRequest {
    var request = FeatureStore.VacuumRequest()
    for (name, text) in options {
      if name == "remove-orphans" {
        guard let flag = Bool(text) else {
          throw FeatureStoreError(
            .invalidArgument, "option '\(name)' takes true or false, not '\(text)'")
        }
        request.removesOrphans = flag
        continue
      }
      guard let value = Int64(text), value >= 0 else {
        throw FeatureStoreError(.invalidArgument, "option '\(name)' takes a number, not '\(text)'")
      }
      switch name {
      case "max-snapshot-age-ms": request.maxSnapshotAgeMilliseconds = value
      case "min-snapshots-to-keep": request.minSnapshotsToKeep = value
      case "older-than-ms": request.orphanAgeMilliseconds = value
      default:
        throw FeatureStoreError(
          .invalidArgument,
          "vacuum has no option '\(name)'; there are: max-snapshot-age-ms, min-snapshots-to-keep, "
            + "older-than-ms, remove-orphans")
      }
    }
    return request
  }
}

/// The policies of all groups, as `jobs/policies.json` holds them.
struct MaintenancePolicies: Sendable {
  struct Entry: Sendable {
    var policy: MaintenancePolicy
    /// Since when it holds: what was due before is not made up for.
    var sinceMicroseconds: Int64
  }

  static let fileName = "policies.json"
  static let formatVersion: Int64 = 1

  var entries: [String: Entry] = [:]

  init() {}

  var json: JSONValue {
    let groups = entries.sorted { $0.key < $1.key }.map { name, entry -> (String, JSONValue) in
      (
        name,
        [
          "since_microseconds": .integer(entry.sinceMicroseconds),
          "jobs": .array(entry.policy.jobs.map(\.json)),
        ]
      )
    }
    return [
      "format_version": .integer(Self.formatVersion), "groups": .object(JSONObject(groups)),
    ]
  }

  init(parsing bytes: [UInt8], path: String) throws(FeatureStoreError) {
    func damaged(_ message: String) -> FeatureStoreError {
      FeatureStoreError(.corrupt, "'\(path)' is damaged: \(message)")
    }
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch { throw damaged(error.description) }
    guard let version = json["format_version"]?.int64Value else {
      throw damaged("no format version")
    }
    guard version <= Self.formatVersion else {
      throw FeatureStoreError(
        .notAStore, "'\(path)' has format version \(version), which is newer than this fstore")
    }
    guard let groups = json["groups"]?.objectValue else { throw damaged("no groups") }
    for (name, value) in groups.members {
      guard let since = value["since_microseconds"]?.int64Value,
        let jobs = value["jobs"]?.arrayValue
      else { throw damaged("the policy of '\(name)' is not whole") }
      var policy = MaintenancePolicy(jobs: [])
      for job in jobs { policy.jobs.append(try MaintenancePolicy.Job(json: job)) }
      entries[name] = Entry(policy: policy, sinceMicroseconds: since)
    }
  }
}
