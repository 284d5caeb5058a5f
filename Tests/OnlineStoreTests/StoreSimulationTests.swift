import StoreSimulation
import TestSupport
import Testing
import WriteAheadLog

/// Short sequences of operations on an online store with a crash before each call. `simulate --store` runs
/// the longer ones, optimized.
@Suite struct StoreSimulationTests {
  let simulation = StoreSimulation()
  static let durabilities = [Durability.synchronous, .interval(milliseconds: 3_600_000)]

  @Test(arguments: durabilities)
  func afterACrashAnywhereInAnOperationTheStoreKeepsItsPromises(durability: Durability) throws {
    var states = 0
    for (index, operations) in StoreSimulation.sequences(1).enumerated() {
      let (looked, problem) = try simulation.explore(
        operations, durability, outcomes: 2, seed: UInt64(index))
      states += looked
      #expect(problem == nil)
    }
    print("\(states) crashes of an online store at \(durability)")
    #expect(states > 100)
  }

  @Test func longSequencesHoldTheirPromisesToo() throws {
    for seed in 0..<UInt64(setting("FSTORE_CRASH_SEEDS", 3)) {
      var generator = SeededGenerator(seed: seed &+ 99)
      let all = StoreSimulation.Operation.allCases
      let operations = (0..<5 + generator.below(16)).map { _ in all[generator.below(all.count)] }
      let durability = Self.durabilities[generator.below(2)]
      let (_, problem) = try simulation.explore(operations, durability, outcomes: 2, seed: seed)
      #expect(problem == nil)
    }
  }

  /// The simulation must be able to see what a store without syncs loses.
  @Test(arguments: [(true, false), (false, true)])
  func missingSyncsAreFoundOut(ofDirectories: Bool, ofFiles: Bool) {
    let found = StoreSimulation.sequences(1).filter { operations in
      let result = try? simulation.explore(operations, .synchronous, outcomes: 2, seed: 1) {
        $0.ignoreSynchronization(ofDirectories: ofDirectories, ofFiles: ofFiles)
      }
      return result == nil || result?.problem != nil
    }
    #expect(!found.isEmpty)
  }
}
