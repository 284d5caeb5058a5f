import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Testing

/// Where a training set goes: whole, in order, and nothing left behind when it fails.
@Suite struct OutputTests {
  private typealias Fixture = TrainingSetFixture

  private func filled() throws -> (Fixture, spine: String) {
    let fixture = try Fixture()
    try fixture.put("a", 1, 1)
    try fixture.put("b", 1, 2)
    try fixture.store.flush()
    let spine = try fixture.write(
      "spine.csv", "n,sensor,place,t", "1,a,x,2026-01-02T03:00:00Z", "2,b,y/ä,2026-01-02T03:00:00Z",
      "3,a,,2026-01-02T03:00:00Z", "4,b,x,2026-01-02T03:00:00Z", "5,a,x,2026-01-02T03:00:00Z")
    return (fixture, spine)
  }

  private func folder(
    _ name: String, columns: [String] = [], rows: Int? = nil, _ fixture: Fixture
  ) -> TrainingSetOutput {
    .folder(
      fixture.path(name), TrainingSetFolder(partitionColumns: columns, rowsPerFile: rows))
  }

  @Test func aFolderIsPartedByColumns() throws {
    let (fixture, spine) = try filled()
    let report = try fixture.store.extractTrainingSet(
      fixture.request(
        .files([spine]), output: folder("set", columns: ["sensor", "place"], fixture)))
    #expect(
      report.files.map(\.name) == [
        "sensor=a/place=__HIVE_DEFAULT_PARTITION__/part-00000.parquet",
        "sensor=a/place=x/part-00000.parquet", "sensor=b/place=x/part-00000.parquet",
        "sensor=b/place=y%2F%C3%A4/part-00000.parquet",
      ])
    #expect(
      try Fixture.fileRows(fixture.path("set/sensor=a/place=x/part-00000.parquet"))
        == ["1 2026-01-02T03:00:00Z 1", "5 2026-01-02T03:00:00Z 1"])
    #expect(report.rowCount == 5)
    for path in report.files {
      let size = try FileManager.default.attributesOfItem(
        atPath: fixture.path("set/" + path.name))[.size]
      #expect(size as? Int64 == path.sizeBytes || size as? Int == Int(path.sizeBytes))
    }
    #expect(try fixture.contents().filter { $0.contains("tmp") || $0.contains("old") }.isEmpty)
  }

  @Test func aFolderIsPartedByNumbersOfRows() throws {
    let (fixture, spine) = try filled()
    _ = try fixture.store.extractTrainingSet(
      fixture.request(.files([spine]), output: folder("set", rows: 2, fixture)))
    let files = try fixture.contents("set")
    #expect(files == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"])
    let numbers = try files.map { file in
      try Fixture.fileRows(fixture.path("set/" + file)).map { $0.split(separator: " ")[0] }
    }
    #expect(numbers == [["1", "2"], ["3", "4"], ["5"]])
    // By both: each partition's files have so many.
    _ = try fixture.store.extractTrainingSet(
      fixture.request(
        .files([spine]), output: folder("both", columns: ["sensor"], rows: 2, fixture)))
    #expect(
      try fixture.contents("both").filter { $0.hasSuffix("parquet") } == [
        "sensor=a/part-00000.parquet", "sensor=a/part-00001.parquet", "sensor=b/part-00000.parquet",
      ])
    // Of no rows there is a file with the columns.
    let empty = try fixture.write("empty.csv", "sensor,t")
    _ = try fixture.store.extractTrainingSet(
      fixture.request(.files([empty]), output: folder("none", rows: 2, fixture)))
    #expect(try Fixture.fileRows(fixture.path("none/part-00000.parquet")).isEmpty)
  }

  @Test func whatCannotPartAFolderIsRefusedAndLeavesNothing() throws {
    let (fixture, spine) = try filled()
    let wrong: [TrainingSetOutput] = [
      folder("set", columns: ["nothing"], fixture), folder("set", rows: 0, fixture),
      folder("set", columns: ["sensor", "sensor"], fixture),
      folder("set", columns: ["n", "sensor", "place", "t", "value"], fixture),
      .file(fixture.path("set.txt")), .standardOutput(.parquet), .standardOutput(.arrowFile),
    ]
    for output in wrong {
      do {
        _ = try fixture.store.extractTrainingSet(fixture.request(.files([spine]), output: output))
        Issue.record("accepted \(output)")
      } catch { #expect([.invalidArgument, .notFound].contains(error.code), "\(error)") }
    }
    var lines = ["n,sensor,t"]
    for number in 0...1000 { lines.append("\(number),a,2026-01-02T03:00:00Z") }
    let many = try fixture.write("many.csv", lines.joined(separator: "\n"))
    do {
      _ = try fixture.store.extractTrainingSet(
        fixture.request(.files([many]), output: folder("set", columns: ["n"], fixture)))
      Issue.record("accepted 1001 partitions")
    } catch { #expect(error.message.contains("1000"), "\(error)") }
    #expect(try fixture.contents() == ["many.csv", "spine.csv"])
  }

  @Test func anOutputIsReplacedOnlyWhenAskedFor() throws {
    let (fixture, spine) = try filled()
    for output in [
      TrainingSetOutput.file(fixture.path("set.parquet")), folder("set", rows: 2, fixture),
    ] {
      var request = fixture.request(.files([spine]), output: output)
      _ = try fixture.store.extractTrainingSet(request)
      do {
        _ = try fixture.store.extractTrainingSet(request)
        Issue.record("replaced \(output)")
      } catch { #expect(error.code == .alreadyExists, "\(error)") }
      request.replacesOutput = true
      request.spine = .files([try fixture.write("one.csv", "sensor,t", "a,")])
      #expect(try fixture.store.extractTrainingSet(request).rowCount == 1)
    }
    #expect(try fixture.contents("set") == ["part-00000.parquet"])
    // A folder of other things stays, whatever was asked for.
    _ = try fixture.write("mine/part-1.parquet", "")
    _ = try fixture.write("mine/thesis.txt", "everything")
    var request = fixture.request(.files([spine]), output: folder("mine", rows: 2, fixture))
    request.replacesOutput = true
    do {
      _ = try fixture.store.extractTrainingSet(request)
      Issue.record("replaced a folder of other things")
    } catch { #expect(error.code == .alreadyExists && error.message.contains("thesis.txt")) }
    #expect(try fixture.contents("mine") == ["part-1.parquet", "thesis.txt"])
    request.output = .file(fixture.path("mine"))
    #expect(throws: FeatureStoreError.self) { try fixture.store.extractTrainingSet(request) }
  }

  /// The second file has a number that is no double exactly, which is seen only while rows are written.
  @Test(arguments: ["set.parquet", "set.arrow", "set.csv", "folder"])
  func nothingIsLeftOfAnOutputThatFailsInTheMiddle(name: String) throws {
    let (fixture, _) = try filled()
    let first = try fixture.write("first.csv", "n,sensor,t", "1.5,a,2026-01-02T03:00:00Z")
    var request = fixture.request(.files([first]), output: .file(fixture.path("second.parquet")))
    let long = try fixture.write(
      "long.csv", "n,sensor,t", "9007199254740993,a,2026-01-02T03:00:00Z")
    request.spine = .files([long])
    _ = try fixture.store.extractTrainingSet(request)
    let second = fixture.path("second.parquet")
    request = fixture.request(
      .files([first, second]), features: "readings:note",
      output: name == "folder" ? folder(name, rows: 1, fixture) : .file(fixture.path(name)))
    // It has a column more, which the first one gets.
    request.spine = .files([
      try fixture.write("with.csv", "n,sensor,t,value", "1.5,a,2026-01-02T03:00:00Z,1"), second,
    ])
    let before = try fixture.contents()
    do {
      _ = try fixture.store.extractTrainingSet(request)
      Issue.record("wrote a number that changed")
    } catch { #expect(error.code == .invalidInput && error.message.contains("9007199254740993")) }
    #expect(try fixture.contents() == before)
  }
}
