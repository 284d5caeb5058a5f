import Foundation
import JSON
import Testing

/// PyIceberg, DuckDB and fastavro in a Python process that stays (`Tests/Interop/peer.py`), so that
/// their start is paid for once. Thread-safe: one call at a time.
final class Peer: @unchecked Sendable {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
  static let python = root.appending(path: ".venv/bin/python")
  static let scripts = root.appending(path: "Tests/Interop")

  /// Whether the engines are there. CI must have them, so there it is taken for granted.
  static var isThere: Bool {
    FileManager.default.fileExists(atPath: python.path)
      || ProcessInfo.processInfo.environment["CI"] != nil
  }

  static let hint: Comment = "'scripts/bootstrap --peers' installs PyIceberg and DuckDB"

  /// The processes of all tests, one a core of a small machine; they end with their input, when the
  /// tests do.
  private static let shared = (0..<2).map { _ in Result { try Peer() } }

  // Unchecked: everything below is used under the lock only.
  private let lock = NSLock()
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var received = Data()

  init() throws {
    process.executableURL = Peer.python
    process.arguments = [Peer.scripts.appending(path: "peer.py").path]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// Calls a function of `peer.py` in a shared process, the same one for the same folder.
  @discardableResult
  static func call(_ name: String, _ arguments: JSONObject) throws -> JSONValue {
    let index = abs((arguments["folder"]?.hashValue ?? 0) % shared.count)
    return try shared[index].get().call(name, arguments)
  }

  @discardableResult
  func call(_ name: String, _ arguments: JSONObject) throws -> JSONValue {
    var request = arguments
    request["call"] = .string(name)
    let line = JSONValue.object(request).text() + "\n"
    let answer = try lock.withLock {
      try input.fileHandleForWriting.write(contentsOf: Data(line.utf8))
      return try JSONValue(parsing: String(decoding: try receive(), as: UTF8.self))
    }
    guard let result = answer["result"] else {
      throw Failure(description: "\(name): \(answer["error"]?.stringValue ?? "no answer")")
    }
    return result
  }

  private func receive() throws -> Data {
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        defer { received = Data(received[(end + 1)...]) }
        return received[..<end]
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { throw Failure(description: "the Python process has ended") }
      received += more
    }
  }
}
