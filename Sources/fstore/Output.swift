internal import Glibc
internal import JSON
internal import Synchronization

/// Where results, notes and errors go: results to standard output, everything else to standard
/// error, so that output can be piped.
struct Output {
  /// One JSON value instead of text.
  var isJSON = false

  static var standardOutputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
  static var standardErrorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  func print(_ line: String) { Swift.print(line) }

  func print(_ value: JSONValue) {
    Swift.print(value.text(pretty: Output.standardOutputIsTerminal))
  }

  /// Text for people, or the value with `--json`.
  func print(_ value: JSONValue, text: () -> String) {
    if isJSON { print(value) } else { print(text()) }
  }

  static func error(_ message: String) { write("error: \(message)\n") }

  static func note(_ message: String) { write("\(message)\n") }

  static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }
}

/// A table of text: aligned columns on a terminal, tab-separated values in a pipe.
struct TextTable {
  enum Alignment { case left, right }

  var headers: [String]
  var alignments: [Alignment]
  var rows: [[String]] = []

  init(_ columns: [(String, Alignment)]) {
    headers = columns.map(\.0)
    alignments = columns.map(\.1)
  }

  func text(forTerminal: Bool = Output.standardOutputIsTerminal) -> String {
    guard forTerminal else {
      return ([headers] + rows).map { $0.joined(separator: "\t") }.joined(separator: "\n")
    }
    let widths = headers.indices.map { column in
      ([headers] + rows).map { $0[column].count }.max() ?? 0
    }
    func line(_ cells: [String]) -> String {
      let padded = cells.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - cells[column].count)
        return alignments[column] == .right ? space + cells[column] : cells[column] + space
      }
      var text = padded.joined(separator: "  ")
      while text.last == " " { text.removeLast() }
      return text
    }
    let rule = widths.map { String(repeating: "-", count: $0) }
    return ([headers, rule] + rows).map(line).joined(separator: "\n")
  }
}

/// A progress bar on standard error, drawn only on a terminal and at most ten times a second.
final class ProgressBar: Sendable {
  private let label: String
  private let isShown: Bool
  private let start = ContinuousClock.now
  private let lastDraw = Mutex<ContinuousClock.Instant?>(nil)

  init(_ label: String, isShown: Bool = Output.standardErrorIsTerminal) {
    self.label = label
    self.isShown = isShown
  }

  /// - Parameters:
  ///   - total: nil or zero when it is not known.
  ///   - detail: what to say beside the bar.
  func update(_ done: Int64, of total: Int64?, detail: String = "") {
    guard isShown else { return }
    let now = ContinuousClock.now
    let isDue = lastDraw.withLock { last in
      if let last, now - last < .milliseconds(100), done != total { return false }
      last = now
      return true
    }
    guard isDue else { return }
    var line = "\r\(label) "
    if let total, total > 0 {
      let share = min(1, Double(done) / Double(total))
      let filled = Int(share * 30)
      line += "[" + String(repeating: "#", count: filled)
      line += String(repeating: ".", count: 30 - filled) + "] \(Int(share * 100))%"
      if share > 0.02, share < 1 {
        let elapsed = Double((now - start).components.seconds)
        line += ", \(Int(elapsed / share - elapsed)) s left"
      }
    }
    Output.write(line + " " + detail + "\u{1B}[K")
  }

  func finish() {
    if lastDraw.withLock({ $0 != nil }) { Output.write("\r\u{1B}[K") }
  }
}

/// Bytes for people: 1.5 MB.
func bytesText(_ count: Int64) -> String {
  let units = ["B", "kB", "MB", "GB", "TB"]
  var value = Double(count)
  var unit = 0
  while value >= 1000, unit < units.count - 1 {
    value /= 1000
    unit += 1
  }
  return unit == 0 ? "\(count) B" : "\(decimals(value, 1)) \(units[unit])"
}

/// A number with a fixed number of digits after the point.
func decimals(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int64((value * scale).rounded())
  guard digits > 0 else { return "\(scaled)" }
  let fraction = String(scaled.magnitude % UInt64(scale))
  let padding = String(repeating: "0", count: digits - fraction.count)
  return (scaled < 0 ? "-" : "") + "\(scaled.magnitude / UInt64(scale)).\(padding)\(fraction)"
}

/// A count with thousands separated: 336,776.
func countText(_ count: some BinaryInteger) -> String {
  var digits = Array(String(count.magnitude))
  var position = digits.count - 3
  while position > 0 {
    digits.insert(",", at: position)
    position -= 3
  }
  return (count < 0 ? "-" : "") + String(digits)
}
