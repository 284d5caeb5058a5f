import Columnar
import FeatureModel
import FeatureStore
import FileFormats
import Foundation
import Iceberg
import Storage

/// A store with two groups of one key, and training sets of them as text.
final class TrainingSetFixture {
  let base: StoreFixture
  let store: FeatureStore
  let folder: URL

  static let day = "2026-01-02T"

  init(clock: any WallClock = SystemClock(), isDurable: Bool = true) throws {
    base = try StoreFixture()
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    options.isDurable = isDurable
    store = try FeatureStore.open(at: base.directory, options: options, clock: clock)
    folder = FileManager.default.temporaryDirectory.appending(path: "sets-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try store.createGroup(StoreFixture.group())
    try store.createGroup(StoreFixture.group("others"))
  }

  deinit {
    try? store.close()
    try? FileManager.default.removeItem(at: folder)
  }

  func path(_ name: String) -> String { folder.appending(path: name).path }

  func write(_ name: String, _ lines: String...) throws -> String {
    let text = lines.map { $0 + "\n" }.joined()
    try FileManager.default.createDirectory(
      at: folder.appending(path: name).deletingLastPathComponent(),
      withIntermediateDirectories: true)
    try text.write(toFile: path(name), atomically: true, encoding: .utf8)
    return path(name)
  }

  /// At an hour of the fixture's day.
  static func hour(_ hour: Int, _ rest: String = ":00:00Z") -> String {
    day + (hour < 10 ? "0" : "") + "\(hour)" + rest
  }

  func put(_ sensor: String, _ hour: Int, _ value: Int?, _ group: String = "readings") throws {
    var fields = ["sensor": sensor, "at": Self.hour(hour)]
    fields["value"] = value.map { "\($0)" }
    try store.put(group, fields: fields)
  }

  func delete(_ sensor: String, _ hour: Int, _ group: String = "readings") throws {
    try store.delete(group, key: ["sensor": sensor], eventTime: Self.hour(hour))
  }

  func request(
    _ spine: TrainingSetRequest.Spine, features: String..., time: String = "t",
    output: TrainingSetOutput? = nil
  ) -> TrainingSetRequest {
    var request = TrainingSetRequest(
      spine: spine, timeColumn: time, output: output ?? .file(path("set.csv")))
    request.features = features.isEmpty ? ["readings:value"] : features
    return request
  }

  /// Each row as its values, separated by spaces; a null is `-`.
  func rows(_ request: TrainingSetRequest) throws -> [String] {
    try Self.rows(try store.trainingSet(request))
  }

  static func rows(_ batches: TrainingSetBatches) throws -> [String] {
    var rows: [String] = []
    while let batch = try batches.next() { rows += text(batch) }
    return rows
  }

  static func text(_ batch: RecordBatch) -> [String] {
    (0..<batch.rowCount).map { row in
      batch.columns.map { text($0, row) }.joined(separator: " ")
    }
  }

  static func text(_ column: Column, _ row: Int) -> String {
    column.isNull(row) ? "-" : ValueText.text(column, row)
  }

  /// The rows of a file, by its format.
  static func fileRows(_ path: String) throws -> [String] {
    let source = try TabularReader.open(
      POSIXFileSystem().open(path, .read), as: TabularFormat(path: path) ?? .arrow)
    var rows: [String] = []
    while let batch = try source.next() { rows += text(batch.batch) }
    return rows
  }

  /// What is in a folder, hidden files included.
  func contents(_ name: String = "") throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: path(name)).sorted()
  }
}
