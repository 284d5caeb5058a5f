import Foundation
import JSON
import Testing

/// Runs the built `fstore` in a temporary directory of its own.
final class CommandFixture {
  struct Result {
    var status: Int32
    var output: String
    var errors: String

    func json() throws -> JSONValue { try JSONValue(parsing: output) }
  }

  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The command lies beside the tests' own executable.
  static let command = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appending(path: "fstore")

  static let python = root.appending(path: ".venv/bin/python")

  /// Whether PyIceberg and DuckDB are there. CI must have them, so there it is taken for granted.
  static var hasPeers: Bool {
    FileManager.default.fileExists(atPath: python.path)
      || ProcessInfo.processInfo.environment["CI"] != nil
  }

  let directory: URL
  let store: String

  /// - Parameter store: where the store will be, if not in the fixture's own directory.
  init(store: String? = nil) throws {
    directory = FileManager.default.temporaryDirectory
      .appending(path: "fstore-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    self.store = store ?? directory.appending(path: "store").path
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  func path(_ name: String) -> String { directory.appending(path: name).path }

  func write(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: path(name), atomically: true, encoding: .utf8)
    return path(name)
  }

  @discardableResult
  func run(_ arguments: String...) throws -> Result { try run(arguments) }

  func run(_ arguments: [String]) throws -> Result {
    try Self.run(Self.command, arguments, environment: ["FSTORE_STORE": store])
  }

  static func run(
    _ program: URL, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> Result {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    // Files, not pipes: a full pipe would stop the command.
    let folder = FileManager.default.temporaryDirectory
    let names = [UUID().uuidString, UUID().uuidString].map { folder.appending(path: $0).path }
    for name in names { _ = FileManager.default.createFile(atPath: name, contents: nil) }
    defer { for name in names { try? FileManager.default.removeItem(atPath: name) } }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: names[0])
    process.standardError = FileHandle(forWritingAtPath: names[1])
    try process.run()
    process.waitUntilExit()
    let texts = try names.map { try String(contentsOfFile: $0, encoding: .utf8) }
    let status =
      process.terminationReason == .exit
      ? process.terminationStatus : 128 + process.terminationStatus
    return Result(status: status, output: texts[0], errors: texts[1])
  }

  /// A store with one group, `readings`: key sensor, event time at, features value and note.
  static func withReadings() throws -> CommandFixture {
    let fixture = try CommandFixture()
    try fixture.run("init", fixture.store)
    try fixture.run(
      "group", "create", "readings", "--key", "sensor:string", "--event-time", "at", "--feature",
      "value:long", "--feature", "note:string")
    return fixture
  }

  /// Three records of two sensors.
  func ingestReadings() throws {
    let records = try write(
      "records.csv",
      "sensor,at,value\na,2026-01-01T00:00:00Z,1\na,2026-01-03T00:00:00Z,3\nb,2026-01-02T00:00:00Z,2\n"
    )
    #expect(try run("ingest", "readings", records).status == 0)
  }
}
