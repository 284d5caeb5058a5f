/// Text in the OpenMetrics format (openmetrics.io, version 1.0.0), as Prometheus reads it.
struct OpenMetricsText {
  private(set) var text = ""

  enum Kind: String {
    case gauge, counter
  }

  /// One metric with its samples; a counter's samples get the suffix `_total`.
  mutating func add(
    _ name: String, _ kind: Kind, _ help: String,
    _ samples: [(labels: [(String, String)], value: Double)]
  ) {
    text += "# TYPE fstore_\(name) \(kind.rawValue)\n# HELP fstore_\(name) \(help)\n"
    let suffix = kind == .counter ? "_total" : ""
    for sample in samples {
      text += "fstore_\(name)\(suffix)\(Self.labels(sample.labels)) \(Self.number(sample.value))\n"
    }
  }

  /// Quantiles; durations are given in nanoseconds, and written as seconds.
  mutating func add(
    _ name: String, _ help: String, _ values: StoreStatistics.Distribution, isDuration: Bool
  ) {
    let full = "fstore_\(name)" + (isDuration ? "_seconds" : "")
    let unit = isDuration ? 1e9 : 1
    text += "# TYPE \(full) summary\n"
    if isDuration { text += "# UNIT \(full) seconds\n" }
    text += "# HELP \(full) \(help)\n"
    for quantile in [0.5, 0.99, 0.999] {
      let value = Double(values.percentile(quantile)) / unit
      text += "\(full){quantile=\"\(quantile)\"} \(Self.number(value))\n"
    }
    text += "\(full)_count \(values.count)\n"
    text += "\(full)_sum \(Self.number(Double(values.sum) / unit))\n"
  }

  /// One figure of several subjects; a figure that is not there has no sample.
  mutating func add(_ figures: [(labels: [(String, String)], figure: Figure)]) {
    guard let first = figures.first?.figure else { return }
    var samples: [(labels: [(String, String)], value: Double)] = []
    for (labels, figure) in figures {
      switch figure.value {
      case .integer(let value): samples.append((labels, Double(value)))
      case .number(let value): samples.append((labels, value))
      case .flag(let value): samples.append((labels, value ? 1 : 0))
      case .failure(let text): samples.append((labels, text == nil ? 0 : 1))
      case .none: break
      case .nanoseconds(let values):
        return add(figure.metric, figure.help, values, isDuration: true)
      case .sizes(let values): return add(figure.metric, figure.help, values, isDuration: false)
      }
    }
    add(first.metric, first.isCounter ? .counter : .gauge, first.help, samples)
  }

  mutating func end() { text += "# EOF\n" }

  private static func labels(_ labels: [(String, String)]) -> String {
    guard !labels.isEmpty else { return "" }
    let pairs = labels.map { name, value in
      var escaped = ""
      for character in value {
        switch character {
        case "\\": escaped += "\\\\"
        case "\"": escaped += "\\\""
        case "\n": escaped += "\\n"
        default: escaped.append(character)
        }
      }
      return "\(name)=\"\(escaped)\""
    }
    return "{\(pairs.joined(separator: ","))}"
  }

  private static func number(_ value: Double) -> String {
    Int64(exactly: value).map { "\($0)" } ?? "\(value)"
  }
}

extension StoreStatistics {
  /// The same as OpenMetrics text, for Prometheus.
  public var openMetrics: String {
    var text = OpenMetricsText()
    let perGroup = groups.map { group in group.figures.map { ([("group", group.name)], $0) } }
    for index in perGroup.first?.indices ?? 0..<0 { text.add(perGroup.map { $0[index] }) }
    for figure in figures + activity.figures { text.add([([], figure)]) }
    text.end()
    return text.text
  }
}
