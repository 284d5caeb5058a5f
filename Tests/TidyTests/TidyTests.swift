import Foundation
import Testing

/// The tree itself keeps its promises: file lengths, import rules, no crash on data.
@Suite struct TidyTests {
  struct SourceFile: CustomTestStringConvertible, Sendable {
    var path: String
    var lines: [String]
    var testDescription: String { path }
    var room: String { String(path.split(separator: "/").dropFirst().first ?? "") }
  }

  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  static func files(under folder: String, suffix: String = ".swift") throws -> [SourceFile] {
    let base = root.appending(path: folder)
    let paths = try FileManager.default.subpathsOfDirectory(atPath: base.path)
      .filter { $0.hasSuffix(suffix) }.sorted()
    return try paths.map { path in
      let text = try String(contentsOf: base.appending(path: path), encoding: .utf8)
      return SourceFile(
        path: folder + "/" + path,
        lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
    }
  }

  static func imports(_ file: SourceFile) -> Set<String> {
    Set(
      file.lines.compactMap { line in
        let words = line.split(separator: " ")
        guard let index = words.firstIndex(of: "import"), index <= 1, words.count > index + 1
        else { return nil }
        return String(words[index + 1])
      })
  }

  @Test func sourceFilesHaveOneIdeaEach() throws {
    let long = try (Self.files(under: "Sources") + Self.files(under: "Tests"))
      .filter { $0.lines.count > 600 }.map { "\($0.path): \($0.lines.count) lines" }
    #expect(long.isEmpty)
  }

  @Test func onlyStorageAndTheCommandTalkToTheSystem() throws {
    let wrong = try Self.files(under: "Sources")
      .filter { !["Storage", "fstore"].contains($0.room) }
      .filter { !Self.imports($0).isDisjoint(with: ["Glibc", "Foundation", "CSystem"]) }
    #expect(wrong.map(\.path).isEmpty)
  }

  @Test func onlyFileFormatsImportsTheGlue() throws {
    let wrong = try Self.files(under: "Sources")
      .filter { $0.room != "FileFormats" && Self.imports($0).contains("CArrow") }
    #expect(wrong.map(\.path).isEmpty)
  }

  @Test func onlyTheCommandPrintsOrExits() throws {
    let wrong = try Self.files(under: "Sources").filter { $0.room != "fstore" }.flatMap { file in
      file.lines.enumerated().filter { _, line in
        let code = line.prefix { $0 != "/" }
        return code.contains(" print(") || code.hasPrefix("print(") || code.contains(" exit(")
      }.map { "\(file.path):\($0.offset + 1)" }
    }
    #expect(wrong.isEmpty)
  }

  @Test func nothingCrashesOnPurposeOrLooksUnfinished() throws {
    // Written in two parts, or this file would find itself.
    let forbidden = ["try" + "!", "as" + "! ", "fatal" + "Error(", "TO" + "DO", "FIX" + "ME"]
    let wrong = try Self.files(under: "Sources").flatMap { file in
      file.lines.enumerated().filter { _, line in forbidden.contains { line.contains($0) } }
        .map { "\(file.path):\($0.offset + 1): \($0.element)" }
    }
    #expect(wrong.isEmpty)
  }

  @Test func everyMutantCanStillBePlanted() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "python3", Self.root.appending(path: "scripts/mutants").path, "--check",
    ]
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
  }

  @Test func everyTestFileExpectsSomething() throws {
    let wrong = try Self.files(under: "Tests")
      .filter { file in
        file.lines.contains { $0.contains("@Test") }
          && !file.lines.contains { $0.contains("#expect") || $0.contains("#require") }
      }
    #expect(wrong.map(\.path).isEmpty)
  }

  @Test func everyRuleOfIcebergHasATest() throws {
    let pattern = #/func (s[0-9]+[A-Z][A-Za-z0-9]*)\(/#
    let written = try Set(
      Self.files(under: "Tests").flatMap { file in
        file.lines.compactMap { $0.firstMatch(of: pattern).map { String($0.1) } }
      })
    let rows = try Self.files(under: "docs", suffix: "iceberg-rules.md").flatMap(\.lines)
      .filter { $0.hasPrefix("| S") }
    let numbers = rows.compactMap { $0.firstMatch(of: #/^\| S([0-9]+) /#).flatMap { Int($0.1) } }
    #expect(numbers == Array(1...59))
    var listed: Set<String> = []
    for (number, row) in zip(numbers, rows) {
      let names = row.matches(of: #/`(s[0-9]+[A-Z][A-Za-z0-9]*)`/#).map { String($0.1) }
      #expect(!names.isEmpty, "S\(number)")
      #expect(
        names.allSatisfy { $0.firstMatch(of: #/^s([0-9]+)/#).flatMap { Int($0.1) } == number })
      listed.formUnion(names)
    }
    #expect(listed == written, "\(listed.symmetricDifference(written).sorted())")
  }

  @Test func everyItemOfSecurityHasATestOrAReason() throws {
    let pattern = #/func ([a-zA-Z0-9]+)\(/#
    let written = try Set(
      Self.files(under: "Tests").flatMap { file in
        file.lines.compactMap { $0.firstMatch(of: pattern).map { String($0.1) } }
      })
    let rows = try Self.files(under: "docs", suffix: "security.md").flatMap(\.lines)
      .filter { $0.hasPrefix("| X") }
    let numbers = rows.compactMap { $0.firstMatch(of: #/^\| X([0-9]+) /#).flatMap { Int($0.1) } }
    #expect(numbers == Array(1...16))
    var listed: Set<String> = []
    for (number, row) in zip(numbers, rows) {
      let columns = row.split(separator: "|")
      let names = (columns.last ?? "").matches(of: #/`([a-zA-Z0-9]+)`/#).map { String($0.1) }
      #expect(!names.isEmpty || row.contains("| does not apply: "), "X\(number)")
      #expect(names.allSatisfy { written.contains($0) }, "X\(number): \(names)")
      listed.formUnion(names)
    }
    let named = written.filter { $0.firstMatch(of: #/^x[0-9]+[A-Z]/#) != nil }
    #expect(named.isSubset(of: listed), "\(named.subtracting(listed).sorted())")
  }

  @Test func thePackageNamesNoThirdParty() throws {
    let package = try String(
      contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
    #expect(!package.contains(".package("))
  }
}
