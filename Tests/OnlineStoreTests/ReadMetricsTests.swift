import FeatureModel
import Foundation
import OnlineStore
import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct ReadMetricsTests {
  func key(_ number: Int) -> [UInt8] { Array("key\(number)".utf8) }

  func store() throws -> OnlineStore {
    let store = try OnlineStore.open(
      directory: "/log", fileSystem: SimulatedFileSystem(), clock: SystemClock())
    _ = try store.append(
      (0..<100).map { LogEntry(.put, groupID: 1, eventTime: 1, key: key($0), row: [1]) })
    return store
  }

  @Test func everyGetAndEveryMissIsCountedWhateverTheThread() async throws {
    let store = try store()
    #expect(store.metrics.gets == 0 && store.metrics.getNanoseconds.count == 0)
    let threads = 6
    let rounds = 640
    let group = DispatchGroup()
    for _ in 0..<threads {
      DispatchQueue.global().async(group: group) {
        for round in 0..<rounds {
          _ = try? store.get(groupID: 1, key: Array("key\(round % 128)".utf8))
        }
      }
    }
    await withCheckedContinuation { done in group.notify(queue: .global()) { done.resume() } }
    let metrics = store.metrics
    #expect(metrics.gets == UInt64(threads * rounds))
    // Keys 100 to 127 were never written.
    #expect(metrics.getMisses == UInt64(threads * rounds / 128 * 28))
    // Of each stripe one in 64 is timed, the first included; there are at most 32 of them.
    let timed = metrics.getNanoseconds.count
    #expect(timed >= metrics.gets / 64 && timed <= metrics.gets / 64 + 32)
    #expect(metrics.getNanoseconds.percentile(0.5) > 0)
    #expect(metrics.getNanoseconds.percentile(0.999) >= metrics.getNanoseconds.percentile(0.5))
  }

  @Test func batchesAreCountedWithTheirKeysAndMisses() throws {
    let store = try store()
    for _ in 0..<40 { _ = try store.getBatch(groupID: 1, keys: (90..<120).map(key)) }
    let metrics = store.metrics
    #expect(metrics.batches == 40 && metrics.batchKeys == 1200 && metrics.batchMisses == 800)
    #expect(metrics.gets == 0)
    #expect(metrics.batchSizes.percentile(0.5) == 30)
    #expect(metrics.batchNanoseconds.count >= 2 && metrics.batchNanoseconds.count <= 4)
  }

  /// The word that counts gets says who is inside, too: counting must not keep what writers replace.
  @Test func whatWritersReplaceIsLetGoWhenNobodyIsInside() {
    final class Replaced {}
    let sections = ReadSections()
    for round in 0..<1000 {
      var object: Replaced? = Replaced()
      weak let watched = object
      let (section, _) = sections.beginGet()
      if let object { sections.retire(object) }
      object = nil
      sections.reclaim()
      #expect(watched != nil, "round \(round)")
      sections.end(section)
      sections.reclaim()
      sections.reclaim()
      #expect(watched == nil, "round \(round)")
    }
  }
}
