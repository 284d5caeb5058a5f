import Foundation
import Testing

/// What `Tests/Allocations` counts. A program of its own, because it takes the place of malloc.
@Suite struct AllocationTests {
  /// It lies beside the tests' own executable.
  private static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appending(path: "allocations")

  private func counts() throws -> [String: [Int: Double]] {
    let directory = FileManager.default.temporaryDirectory
      .appending(path: "fstore-allocations-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    let process = Process()
    let output = Pipe()
    process.executableURL = Self.program
    process.arguments = [directory.path]
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    var counts: [String: [Int: Double]] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 3, let features = Int(words[1]), let count = Double(words[2]) else {
        continue
      }
      counts[String(words[0]), default: [:]][features] = count
    }
    return counts
  }

  /// Whole puts are looked at by `make test`, in an optimized build: see there.
  @Test func nothingIsAllocatedPerFeature() throws {
    let counts = try counts()
    #expect(counts["get"] == [2: 0, 62: 0], "\(counts)")
    #expect(counts["row"] == [2: 0, 62: 0], "\(counts)")
    let batch = try #require(counts["get-batch-of-100"])
    #expect(batch[2] != nil && batch[2] == batch[62], "\(counts)")
  }
}
