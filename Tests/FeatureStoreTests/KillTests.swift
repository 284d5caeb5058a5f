import FeatureModel
import FeatureStore
import Foundation
import Glibc
import Testing

/// kill -9 of a real process that ingests: what it acknowledged is there, online and offline, and
/// nothing is there twice.
@Suite struct KillTests {
  /// When the process dies.
  enum Moment: Int, CaseIterable {
    /// Some time after its start: while it opens the store and recovers what the last one left.
    case opening
    /// Some time after its first acknowledged record: while it puts, flushes and commits.
    case working
  }

  /// The process that will be killed. Its acknowledged records are lines of a file that outlives it.
  struct Worker {
    let directory: String
    let round: Int
    let moment: Moment
    let delayMicroseconds: UInt32
    private let acknowledgements: Int32
    private var isArmed = false

    init(_ directory: String, round: Int, moment: Moment, delayMicroseconds: UInt32) {
      self.directory = directory
      self.round = round
      self.moment = moment
      self.delayMicroseconds = delayMicroseconds
      acknowledgements = open(directory + ".acks", O_WRONLY | O_APPEND | O_CREAT, 0o600)
      if moment == .opening { arm() }
    }

    private mutating func arm() {
      guard !isArmed else { return }
      isArmed = true
      let delay = delayMicroseconds
      Thread.detachNewThread {
        usleep(delay)
        kill(getpid(), SIGKILL)
      }
    }

    func name(_ number: Int) -> String { "r\(round)-\(number)" }

    private mutating func acknowledge(_ numbers: Range<Int>) {
      let lines = Array(numbers.map { "\(name($0)) \($0)\n" }.joined().utf8)
      _ = lines.withUnsafeBytes { write(acknowledgements, $0.baseAddress, $0.count) }
      if moment == .working { arm() }
    }

    /// Every other round ingests a file in batches with a flush each; the others put record by record.
    mutating func work() throws {
      let store = try FeatureStore.open(at: directory, options: KillTests.options)
      if round.isMultiple(of: 2) { try ingestFile(store) }
      var number = 1_000_000
      while true {
        try store.put(
          "readings",
          fields: ["sensor": name(number), "at": "2026-01-01T00:00:00Z", "value": "\(number)"])
        acknowledge(number..<number + 1)
        number += 1
        if number.isMultiple(of: 20) { _ = try store.flush() }
      }
    }

    private mutating func ingestFile(_ store: FeatureStore) throws {
      let count = 20_000
      let rows = (0..<count).map { "\(name($0)),2026-01-01T00:00:00Z,\($0)\n" }.joined()
      let file = directory + ".csv"
      try ("sensor,at,value\n" + rows).write(toFile: file, atomically: true, encoding: .utf8)
      var options = IngestOptions()
      options.flushEveryRows = 500
      var worker = self
      var done = 0
      _ = try store.ingest("readings", file: file, options: options) { progress in
        worker.acknowledge(done..<progress.acceptedCount)
        done = progress.acceptedCount
      }
      self = worker
    }
  }

  static var options: FeatureStore.Options {
    var options = FeatureStore.Options()
    // Small, so that segments follow each other within the life of a process.
    options.logSegmentBytes = 1 << 20
    return options
  }

  static func rounds() -> Int {
    ProcessInfo.processInfo.environment["FSTORE_KILL_ROUNDS"].flatMap { Int($0) } ?? 200
  }

  @Test func nothingAcknowledgedIsLostOrDoubledByKills() async throws {
    var generator = SystemRandomNumberGenerator()
    var fixture = try StoreFixture()
    var killedWhileWorking = 0
    for round in 0..<Self.rounds() {
      // A fresh store now and then keeps the checks quick.
      if round.isMultiple(of: 10) {
        fixture = try StoreFixture(options: Self.options)
        let store = try FeatureStore.open(at: fixture.directory, options: Self.options)
        try store.createGroup(StoreFixture.group())
        try store.close()
      }
      let directory = fixture.directory
      let moment = round % 5 == 4 ? Moment.opening : .working
      let delay = UInt32.random(in: 0...80_000, using: &generator)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [
          directory = directory as String, round = round as Int, delay = delay as UInt32,
          moment = moment.rawValue as Int
        ] in
        var worker = Worker(
          directory, round: round, moment: Moment(rawValue: moment) ?? .working,
          delayMicroseconds: delay)
        try worker.work()
      }
      killedWhileWorking += try check(directory, "round \(round), \(moment) \(delay) us") ? 1 : 0
    }
    #expect(killedWhileWorking >= Self.rounds() * 3 / 4)
  }

  /// Opens the store again and compares it with what was acknowledged; returns whether anything was.
  private func check(_ directory: String, _ label: Comment) throws -> Bool {
    let text = (try? String(contentsOfFile: directory + ".acks", encoding: .utf8)) ?? ""
    let acknowledged = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    let store = try FeatureStore.open(at: directory, options: Self.options)
    for record in acknowledged.suffix(60) {
      let answers = try store.get("readings", fields: ["sensor": record[0]], features: ["value"])
      #expect(answers[0].value == .long(Int64(record[1]) ?? -1), label)
    }
    _ = try store.flush()
    let rows = try StoreFixture.offlineRows(store)
    #expect(Set(rows.map(\.lsn)).count == rows.count, label)
    #expect(Set(rows.map(\.sensor)).count == rows.count, label)
    let missing = Set(acknowledged.map { $0[0] }).subtracting(rows.map(\.sensor))
    #expect(missing.isEmpty, label)
    try store.close()
    return !acknowledged.isEmpty
  }
}
