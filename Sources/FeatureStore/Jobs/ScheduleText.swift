/// What a machine's own scheduler needs so that it runs a store's jobs: text to install, nothing is installed.
public struct ScheduleText: Sendable {
  /// The absolute path of the command.
  public var command: String
  /// The store's directory.
  public var store: String
  /// How often due jobs are looked for.
  public var intervalMinutes: Int

  public init(command: String, store: String, intervalMinutes: Int = 15) {
    self.command = command
    self.store = store
    self.intervalMinutes = min(max(intervalMinutes, 1), 59)
  }

  /// A line for `crontab -e`. Status 75, another run is at it, is no failure.
  public var crontab: String {
    // In crontab a percent sign is a new line.
    let words = [command, "jobs", "run", "--store", store].map(Self.quoted).joined(separator: " ")
    return "*/\(intervalMinutes) * * * * "
      + words.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "\\%")
      + " || [ $? -eq 75 ]\n"
  }

  /// A service and a timer for systemd, as two files.
  public var systemd: [(name: String, text: String)] {
    let words = [command, "jobs", "run", "--store", store].map(Self.systemdQuoted)
      .joined(separator: " ")
    let service = """
      [Unit]
      Description=Maintenance of the feature store in \(Self.systemdEscaped(store))

      [Service]
      Type=oneshot
      ExecStart=\(words)
      SuccessExitStatus=75
      Nice=10
      IOSchedulingClass=idle

      """
    let timer = """
      [Unit]
      Description=Looks for due maintenance of the feature store in \(Self.systemdEscaped(store))

      [Timer]
      OnCalendar=*:0/\(intervalMinutes)
      Persistent=true
      RandomizedDelaySec=30

      [Install]
      WantedBy=timers.target

      """
    return [("fstore-jobs.service", service), ("fstore-jobs.timer", timer)]
  }

  /// For a shell: as it is if that is harmless, else in single quotes.
  private static func quoted(_ word: String) -> String {
    let harmless = word.utf8.allSatisfy { byte in
      UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "/-_.+,:".utf8.contains(byte)
    }
    guard !harmless || word.isEmpty else { return word }
    return "'"
      + word.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''") + "'"
  }

  /// In systemd a percent sign starts a specifier, a dollar a variable.
  private static func systemdEscaped(_ text: String) -> String {
    var escaped = ""
    for character in text {
      switch character {
      case "%": escaped += "%%"
      case "\n": escaped += "\\n"
      default: escaped.append(character)
      }
    }
    return escaped
  }

  private static func systemdQuoted(_ word: String) -> String {
    guard quoted(word) != word else { return word }
    var escaped = ""
    for character in systemdEscaped(word) {
      switch character {
      case "\\", "\"": escaped += "\\" + String(character)
      case "$": escaped += "$$"
      default: escaped.append(character)
      }
    }
    return "\"" + escaped + "\""
  }
}
