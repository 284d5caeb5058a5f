internal import FeatureStore
internal import Iceberg

/// The health of a table as one HTML file: no script, nothing from elsewhere, light or dark as the reader has it.
struct HealthPage {
  var group: String
  var health: TableHealth
  var madeMicroseconds: Int64

  var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(Self.escaped(group)): table health</title>
    <style>
    :root { color-scheme: light dark; --bar: #2f6db3; --line: #b34a2f; --faint: #8888; }
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
    h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
    table { border-collapse: collapse; } td, th { padding: .15rem 1rem .15rem 0; text-align: left; }
    td.number { text-align: right; font-variant-numeric: tabular-nums; }
    svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
    .advice { border-left: .3rem solid var(--bar); padding-left: .8rem; }
    footer { color: var(--faint); margin-top: 2rem; }
    </style>
    </head>
    <body>
    <h1>Feature group \(Self.escaped(group))</h1>
    <p class="advice">\(Self.escaped(advice))</p>
    \(facts)
    <h2>Sizes of data files</h2>
    \(histogram)
    <h2>Growth over the retained snapshots</h2>
    \(growth)
    <footer>Made by fstore health at \(CivilTime.text(microseconds: madeMicroseconds))</footer>
    </body>
    </html>

    """
  }

  /// What to do, in a sentence.
  var advice: String {
    guard health.rewrittenFileCount > 0 else {
      return "Nothing to do: optimize would rewrite no file."
    }
    return "optimize would make about \(countText(health.expectedOutputFileCount)) of "
      + "\(countText(health.rewrittenFileCount)) files (\(bytesText(health.rewrittenBytes))); a full "
      + "scan then opens \(decimals(health.fileCountGain, 1)) times fewer files."
  }

  private var facts: String {
    var rows = ""
    for (name, value) in Self.facts(health) {
      rows += "<tr><th>\(name)</th><td class=\"number\">\(Self.escaped(value))</td></tr>\n"
    }
    return "<table>\n\(rows)</table>"
  }

  /// The figures, for the page and for text.
  static func facts(_ health: TableHealth) -> [(String, String)] {
    let share =
      health.dataFileCount > 0
      ? Double(health.smallFileCount) / Double(health.dataFileCount) * 100 : 0
    return [
      ("data files", "\(countText(health.dataFileCount)), \(bytesText(health.dataFileBytes))"),
      ("records", countText(health.recordCount)),
      (
        "small files",
        "\(countText(health.smallFileCount)) (\(decimals(share, 0)) %) below "
          + bytesText(health.smallFileSizeBytes)
      ),
      (
        "delete files",
        "\(countText(health.deleteFileCount)), records deleted: \(health.deletePercent) %"
      ),
      ("manifests", "\(countText(health.manifestCount)), \(bytesText(health.manifestBytes))"),
      ("snapshots", "\(countText(health.snapshotCount)) (\(span(health)))"),
      ("branches and tags", countText(health.referenceCount)),
      (
        "metadata",
        "\(bytesText(health.metadataBytes)), \(countText(health.metadataLogCount)) older files"
      ),
    ]
  }

  private static func span(_ health: TableHealth) -> String {
    guard let oldest = health.oldestSnapshotMilliseconds,
      let newest = health.newestSnapshotMilliseconds, health.snapshotCount > 1
    else { return "no growth to see" }
    let (milliseconds, overflow) = newest.subtractingReportingOverflow(oldest)
    guard !overflow, milliseconds > 0 else { return "no growth to see" }
    let perDay = Double(health.snapshotCount - 1) / (Double(milliseconds) / 86_400_000)
    return "\(decimals(min(perDay, 1e12), 1)) a day"
  }

  /// One bar a bucket of sizes.
  private var histogram: String {
    let buckets = health.sizeBuckets
    let most = max(1, buckets.map(\.fileCount).max() ?? 1)
    let (width, height) = (720.0, 200.0)
    let step = width / Double(buckets.count)
    var svg = "<svg viewBox=\"0 0 720 250\" role=\"img\" aria-label=\"file sizes\">\n"
    for (index, bucket) in buckets.enumerated() {
      let x = Double(index) * step
      let bar = Double(bucket.fileCount) / Double(most) * (height - 20)
      let label =
        bucket.upperBoundBytes.map { "< \(Self.binaryText($0))" } ?? "larger"
      svg +=
        "<rect x=\"\(Self.number(x + 4))\" y=\"\(Self.number(height - bar))\" "
        + "width=\"\(Self.number(step - 8))\" height=\"\(Self.number(bar))\" fill=\"var(--bar)\">"
        + "<title>\(countText(bucket.fileCount)) files, \(bytesText(bucket.bytes))</title></rect>\n"
      svg += Self.text(label, x + step / 2, height + 18)
      if bucket.fileCount > 0 {
        svg += Self.text(countText(bucket.fileCount), x + step / 2, height - bar - 5)
      }
    }
    return svg + "</svg>"
  }

  /// Data files and bytes after each commit.
  private var growth: String {
    let points = health.growth
    guard points.count > 1, let first = points.first, let last = points.last else {
      return "<p>One snapshot: no growth to see.</p>"
    }
    let times = points.map { Double($0.timestampMilliseconds) }
    let start = times.min() ?? 0
    let span = max(1, (times.max() ?? 1) - start)
    func path(_ values: [Double]) -> String {
      let most = max(1, values.max() ?? 1)
      return zip(times, values).map { time, value in
        "\(Self.number((time - start) / span * 700 + 10)),\(Self.number(190 - value / most * 170))"
      }.joined(separator: " ")
    }
    let files = path(points.map { Double($0.dataFileCount) })
    let bytes = path(points.map { Double($0.dataFileBytes) })
    let mostFiles = points.map(\.dataFileCount).max() ?? 0
    let mostBytes = points.map(\.dataFileBytes).max() ?? 0
    return """
      <svg viewBox="0 0 720 220" role="img" aria-label="growth">
      <line x1="10" y1="190" x2="710" y2="190" stroke="var(--faint)"/>
      <polyline points="\(files)" fill="none" stroke="var(--bar)" stroke-width="2"/>
      <polyline points="\(bytes)" fill="none" stroke="var(--line)" stroke-width="2" stroke-dasharray="6 4"/>
      <text x="10" y="210">\(Self.moment(first.timestampMilliseconds))</text>
      <text x="710" y="210" text-anchor="end">\(Self.moment(last.timestampMilliseconds))</text>
      </svg>
      <p>Solid: data files, at most \(countText(mostFiles)). Dashed: their bytes, at most \(bytesText(mostBytes)).</p>
      """
  }

  private static func moment(_ milliseconds: Int64) -> String {
    let (microseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1000)
    return overflow ? "\(milliseconds) ms" : CivilTime.text(microseconds: microseconds)
  }

  private static func text(_ text: String, _ x: Double, _ y: Double) -> String {
    "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"middle\">\(escaped(text))</text>\n"
  }

  private static func number(_ value: Double) -> String { decimals(value, 1) }

  /// 16 KiB, 4 MiB, 1 GiB.
  static func binaryText(_ bytes: Int64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] where bytes >= 1 << shift {
      return "\(bytes >> shift) \(unit)"
    }
    return "\(bytes) B"
  }

  static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.append(character)
      }
    }
    return escaped
  }
}
