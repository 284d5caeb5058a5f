import FeatureModel
import FeatureStore
import Foundation
import Glibc
import Testing

/// kill -9 of a real process that puts and flushes: what it acknowledged is there, online and offline, and
/// nothing is there twice.
@Suite struct KillTests {
  /// The killed process's own work: puts records one by one and in batches of a file, flushes in between,
  /// and writes the number of each acknowledged record to a file that outlives it.
  static func work(_ directory: String, round: Int) throws {
    let store = try FeatureStore.open(at: directory)
    let acknowledged = open(directory + ".acks", O_WRONLY | O_APPEND | O_CREAT, 0o600)
    var number = 0
    while true {
      let name = "r\(round)-\(number)"
      try store.put(
        "readings",
        fields: ["sensor": name, "at": "2026-01-01T00:00:00Z", "value": "\(number)"])
      let line = Array("\(name) \(number)\n".utf8)
      _ = line.withUnsafeBytes { write(acknowledged, $0.baseAddress, $0.count) }
      number += 1
      if number % 20 == 0 { _ = try store.flush() }
    }
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
      if round % 25 == 0 {
        fixture = try StoreFixture()
        let store = try FeatureStore.open(at: fixture.directory)
        try store.createGroup(StoreFixture.group())
        try store.close()
      }
      let directory = fixture.directory
      let delay = UInt32.random(in: 1_000...60_000, using: &generator)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = directory as String, round = round as Int, delay = delay as UInt32] in
        Thread.detachNewThread {
          usleep(delay)
          kill(getpid(), SIGKILL)
        }
        try KillTests.work(directory, round: round)
      }
      killedWhileWorking += try check(directory, "round \(round), killed after \(delay) us") ? 1 : 0
    }
    // A kill before the first record proves little; most must come later.
    #expect(killedWhileWorking > Self.rounds() / 4)
  }

  /// Opens the store again and compares it with what was acknowledged; returns whether anything was.
  private func check(_ directory: String, _ label: Comment) throws -> Bool {
    let text = (try? String(contentsOfFile: directory + ".acks", encoding: .utf8)) ?? ""
    let acknowledged = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    let store = try FeatureStore.open(at: directory)
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
