import Columnar
import FeatureModel
import FeatureStore
import FileFormats
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Training sets that are there already: why a cell is what it is, and whether all are what they must be.
@Suite struct ExplainTests {
  private static func write(_ text: [String], to path: String) throws {
    try (text.joined(separator: "\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// Cells of random training sets: the explanation gives the file's value, its winner is the definition's, and
  /// the audit finds nothing.
  @Test(arguments: 0..<16)
  func everyCellIsExplained(seed: UInt64) throws {
    let history = try RandomHistory(
      seed: seed, timeToLive: seed % 2 == 0 ? .infinite : .microseconds(40))
    let store = history.store
    for _ in 0..<4 {
      for _ in 0..<4 { try history.write(1 + history.random.below(8)) }
      if !history.random.oneIn(3) { try history.flush() }
    }
    let folder = history.fixture.directory + "/.."
    var spine = ["sensor,zone,moment"]
    for _ in 0..<40 {
      let number = history.random.below(13)
      let sensor = history.random.oneIn(9) ? "" : String(repeating: "1", count: 1 + number % 3)
      let moment = RandomHistory.start + Int64(history.random.below(80))
      let text = history.random.oneIn(9) ? "" : CivilTime.text(microseconds: moment)
      spine.append("\(sensor),\(number / 3),\(text)")
    }
    try Self.write(spine, to: folder + "/spine.csv")
    let file = folder + (history.random.oneIn(2) ? "/set.parquet" : "/set.csv")
    var request = TrainingSetRequest(
      spineFile: folder + "/spine.csv", timeColumn: "moment", outputFile: file)
    let fresh = TimeToLive.microseconds(Int64(history.random.below(30)))
    try history.createView("three", freshTimeToLive: fresh)
    request.view = "three"
    request.visibility = history.random.oneIn(2) ? .event : .ingested
    request.isStrict = history.random.oneIn(3)
    request.excludesLate = history.random.oneIn(3)
    request.includesUnflushed = true
    _ = try store.extractTrainingSet(request)
    let audit = try store.auditTrainingSet(file, of: request)
    #expect(audit.differingCount == 0 && audit.rowCount == 40 && audit.columnCount == 3)
    var outcomes: Set<CellExplanation.Outcome> = []
    for row in 0..<40 {
      let cells = try store.explainTrainingSet(file, row: row, of: request)
      #expect(cells.map(\.column) == ["text", "value", "fresh"])
      for cell in cells {
        outcomes.insert(cell.outcome)
        #expect(cell.fileValue == cell.value, "seed \(seed), row \(row): \(cell)")
        #expect((cell.value != .null) == (cell.outcome == .found))
        guard let moment = cell.moment, case .string(let sensor) = cell.key[0],
          case .int(let zone) = cell.key[1]
        else {
          #expect(cell.outcome == .noKey && cell.records.isEmpty)
          continue
        }
        let own = history.records.filter { $0.key == "\(sensor)|\(zone)" }
        func isBefore(_ time: Int64) -> Bool { request.isStrict ? time < moment : time <= moment }
        let winner = own.filter {
          isBefore($0.eventTime) && (request.visibility == .event || isBefore($0.writeTime))
        }.max { $0.order < $1.order }
        #expect(cell.winner?.lsn == winner?.lsn, "seed \(seed), row \(row)")
        #expect(cell.records.map(\.record.lsn) == own.sorted { $0.order > $1.order }.map(\.lsn))
      }
    }
    #expect(outcomes.contains(.found) && outcomes.count > 2)
    #expect(throws: FeatureStoreError.self) {
      try store.explainTrainingSet(file, row: 40, of: request)
    }
    #expect(throws: FeatureStoreError.self) {
      try store.explainTrainingSet(file, row: 0, of: request, column: "nothing")
    }
    #expect(
      try store.explainTrainingSet(file, row: 0, of: request, column: "readings:value").count == 2)
  }

  /// Changed cells, each in its own way, are named for what they are.
  @Test func changedCellsAreNamed() throws {
    let fixture = try StoreFixture(options: RandomHistory.options)
    let clock = TickingClock(RandomHistory.start)
    let store = try FeatureStore.open(
      at: fixture.directory, options: RandomHistory.options, clock: clock)
    try store.createGroup(StoreFixture.group())
    let group = try store.online("readings")
    func put(_ seconds: Int64, _ value: Int, writtenAt written: Int64) throws {
      clock.advance(RandomHistory.start + written * 1_000_000 - clock.nowMicroseconds())
      try group.put(group.key("a"), eventTime: RandomHistory.start + seconds * 1_000_000) {
        $0.set(0, value)
      }
    }
    try put(10, 1, writtenAt: 10)
    try put(20, 2, writtenAt: 20)
    try put(30, 3, writtenAt: 30)
    try put(24, 7, writtenAt: 100)
    try store.flush()
    let folder = fixture.directory + "/.."
    let moment = CivilTime.text(microseconds: RandomHistory.start + 25_000_000)
    func request(_ visibility: TrainingSetRequest.Visibility) -> TrainingSetRequest {
      var request = TrainingSetRequest(
        spineFile: folder + "/spine.csv", timeColumn: "moment", outputFile: folder + "/set.csv")
      request.features = ["readings:value"]
      request.visibility = visibility
      return request
    }
    let values = ["2", "3", "7", "1", "99", ""]
    try Self.write(
      ["sensor,moment,value"] + values.map { "a,\(moment),\($0)" } + ["nobody,\(moment),4"],
      to: folder + "/set.csv")
    let audit = try store.auditTrainingSet(folder + "/set.csv", of: request(.ingested))
    #expect(audit.differingCount == 6)
    #expect(
      audit.cells.map(\.finding) == [
        .knowsTheFuture, .knowsWhatCameLate, .outdated, .noRecords, .missing, .noRecords,
      ])
    #expect(audit.cells.map(\.row) == [1, 2, 3, 4, 5, 6])
    #expect(audit.cells[0].eventTime == RandomHistory.start + 30_000_000)
    #expect(audit.cells[0].expected == .long(2) && audit.cells[0].value == .long(3))
    // By event times alone the late one is right, and that it was written later is said.
    let byEvent = try store.auditTrainingSet(folder + "/set.csv", of: request(.event))
    #expect(byEvent.cells.map(\.row) == [0, 1, 3, 4, 5, 6])
    #expect(byEvent.cells[0].finding == .outdated)
    #expect(byEvent.writtenLaterCounts.map(\.rowCount) == [6])
    // And one row explained.
    let cell = try #require(
      try store.explainTrainingSet(folder + "/set.csv", row: 2, of: request(.ingested)).first)
    #expect(cell.fileValue == .long(7) && cell.value == .long(2) && cell.outcome == .found)
    #expect(cell.records.map(\.standing) == [.onlyLater, .late, .won, .older])
    #expect(cell.winner?.file?.hasSuffix(".parquet") == true)
    #expect(cell.winner?.snapshotID != nil)
    let none = try store.explainTrainingSet(folder + "/set.csv", row: 6, of: request(.ingested))
    #expect(none[0].outcome == .neverWritten && none[0].records.isEmpty)
    try store.close()
  }
}
