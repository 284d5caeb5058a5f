import LogSimulation
import TestSupport
import Testing
import WriteAheadLog

/// Every sequence of two operations on a log with a crash before each call. `simulate` runs the longer
/// ones, optimized; `FSTORE_SIMULATION_LENGTH`, `_OUTCOMES` and `_SEEDS` do here.
@Suite struct SimulationTests {
  let simulation = LogSimulation()

  @Test(arguments: [Durability.synchronous, .interval(milliseconds: 3_600_000)])
  func afterACrashAnywhereInAShortSequenceThePromisesHold(durability: Durability) throws {
    let length = setting("FSTORE_SIMULATION_LENGTH", 2)
    let outcomes = setting("FSTORE_SIMULATION_OUTCOMES", 2)
    var states = 0
    for count in 1...length {
      for (index, operations) in LogSimulation.sequences(count).enumerated() {
        let (looked, problem) = try simulation.explore(
          operations, durability, outcomes: outcomes, seed: UInt64(index))
        states += looked
        #expect(problem == nil)
        if problem != nil { return }
      }
    }
    print("\(states) crashes at \(durability)")
    #expect(states > 100 * length * outcomes)
  }

  @Test func longSequencesHoldTheirPromisesToo() throws {
    let seeds = setting("FSTORE_SIMULATION_SEEDS", 30)
    for seed in 0..<UInt64(seeds) {
      var generator = SeededGenerator(seed: seed &+ 77)
      let operations = (0..<20).map { _ in
        LogSimulation.Operation.allCases[generator.below(LogSimulation.Operation.allCases.count)]
      }
      // Each place in the sequence has its turn to be the last.
      let cut = 3 + Int(seed) % 18
      let durability =
        generator.oneIn(2) ? Durability.synchronous : .interval(milliseconds: 3_600_000)
      let (_, problem) = try simulation.explore(
        Array(operations.prefix(cut)), durability, outcomes: 4, seed: seed)
      #expect(problem == nil)
    }
  }

  /// The simulation must be able to see what a log without syncs loses.
  @Test(arguments: [(true, false), (false, true)])
  func missingSyncsAreFoundOut(ofDirectories: Bool, ofFiles: Bool) throws {
    var problems = 0
    for operations in LogSimulation.sequences(1) + LogSimulation.sequences(2).prefix(30) {
      let found = try? simulation.explore(operations, .synchronous, outcomes: 2, seed: 1) { files in
        files.ignoreSynchronization(ofDirectories: ofDirectories, ofFiles: ofFiles)
      }
      if found == nil || found?.problem != nil { problems += 1 }
    }
    #expect(problems > 0)
  }
}
