public import JSON
internal import Storage

/// What maintenance did, as OpenMetrics text for a file that node_exporter's textfile collector reads.
public struct MaintenanceMetrics: Sendable {
  public struct Run: Sendable {
    public var group: String
    public var endMicroseconds: Int64
    public var durationSeconds: Double
    public var isSuccessful: Bool
    /// Its numbers become figures; names within names are joined.
    public var report: JSONValue?

    public init(
      group: String, endMicroseconds: Int64, durationSeconds: Double, isSuccessful: Bool,
      report: JSONValue?
    ) {
      self.group = group
      self.endMicroseconds = endMicroseconds
      self.durationSeconds = durationSeconds
      self.isSuccessful = isSuccessful
      self.report = report
    }
  }

  /// `optimize` or `vacuum`: the first part of every name.
  public let operation: String
  public let runs: [Run]

  public init(operation: String, runs: [Run]) {
    self.operation = operation
    self.runs = runs
  }

  public var openMetrics: String {
    var text = OpenMetricsText()
    func add(_ name: String, _ help: String, _ value: (Run) -> Double?) {
      let samples = runs.compactMap { run in
        value(run).map { (labels: [("group", run.group)], value: $0) }
      }
      if !samples.isEmpty { text.add("\(operation)_\(name)", .gauge, help, samples) }
    }
    add("success", "1 when the last run did all that it was to do") { $0.isSuccessful ? 1 : 0 }
    add("end_timestamp_seconds", "when the last run ended") { Double($0.endMicroseconds) / 1e6 }
    add("duration_seconds", "how long the last run took") { $0.durationSeconds }
    let figures = runs.map { run in
      Dictionary(Self.figures(run.report ?? .null, ""), uniquingKeysWith: { first, _ in first })
    }
    for name in Set(figures.flatMap(\.keys)).sorted() {
      let samples = zip(runs, figures).compactMap { run, figures in
        figures[name].map { (labels: [("group", run.group)], value: $0) }
      }
      text.add("\(operation)_\(name)", .gauge, "of the last run", samples)
    }
    text.end()
    return text.text
  }

  private static func figures(_ json: JSONValue, _ prefix: String) -> [(String, Double)] {
    (json.objectValue.map { Array($0.members) } ?? []).flatMap { key, value -> [(String, Double)] in
      let name = prefix + String(key.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
      if let number = value.int64Value { return [(name, Double(number))] }
      return figures(value, name + "_")
    }
  }

  /// Writes the text into a file, whole or not at all; one that is there is replaced.
  public func write(to path: String) throws(FeatureStoreError) {
    do {
      try POSIXFileSystem().publish(Array(openMetrics.utf8), at: path, replacing: true)
    } catch { throw FeatureStoreError(error) }
  }
}
