import TableSimulation
import Testing

/// A few of the histories that `simulate-tables` runs by the thousand.
@Suite struct TableSimulationTests {
  @Test func everyHistoryIsSerialAndLosesNothing() throws {
    var commits = 0
    var removedFiles = 0
    for seed in UInt64(1)...60 {
      let history = try TableHistory(seed: seed)
      try history.run()
      let problem = history.problem ?? ""
      #expect(problem.isEmpty, "seed \(seed)")
      commits += history.commitCount
      removedFiles += history.removedFileCount
    }
    #expect(commits > 600 && removedFiles > 600)
  }

  /// Byte for byte: all events, and all that is on the disk at the end.
  @Test func theSameSeedGivesTheSameHistory() throws {
    func run(_ seed: UInt64) throws -> TableHistory {
      let history = try TableHistory(seed: seed, keepsLog: true)
      try history.run()
      return history
    }
    for seed in UInt64(1)...15 {
      let (first, second) = (try run(seed), try run(seed))
      #expect(first.log == second.log, "seed \(seed)")
      #expect(first.digest == second.digest, "seed \(seed)")
      #expect(try run(seed + 100).digest != first.digest)
    }
  }
}
