import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// A sequence of operations on an online store, with a crash before each call of the last that changes the
/// disk, what was not synced kept, lost or torn by chance, and a second crash while the store recovers.
///
/// Afterwards every acknowledged operation answers, the one under way as a whole or not at all, nothing that
/// was purged is back, and followers see every record once.
public struct StoreSimulation: Sendable {
  public typealias Operation = StoreRun.Operation

  static func options(_ durability: Durability) -> OnlineStoreOptions {
    var options = StoreModel.options
    options.log.durability = durability
    return options
  }

  public init() {}

  /// Crashes at each call of the last operation; how many disks were looked at, and what was wrong. By
  /// seed the store maps its files or reads them by calls.
  public func explore(
    _ operations: [Operation], _ durability: Durability, outcomes: Int, seed: UInt64,
    spoiling: (SimulatedFileSystem) -> Void = { _ in }
  ) throws -> (states: Int, problem: String?) {
    let files = SimulatedFileSystem(mapsFiles: !seed.isMultiple(of: 4))
    spoiling(files)
    let options = Self.options(durability)
    let run = try StoreRun(files, options)
    for operation in operations.dropLast() { try run.perform(operation) }
    files.recordImages()
    if let last = operations.last { try run.perform(last) }
    let images = Self.thinned(files.images)
    var generator = SeededGenerator(seed: seed)
    var states = 0
    for (index, image) in images.enumerated() {
      let promise = run.promises[image.tag - 1]
      for outcome in 0..<outcomes {
        states += 1
        let chance = generator.next()
        if let problem = check(image.disk.crashed(seed: chance), promise, options, chance) {
          return (
            states,
            "\(operations) \(durability), before '\(image.operation) \(image.path)' "
              + "(\(index) of \(images.count)), outcome \(outcome), seed \(seed): \(problem)"
          )
        }
      }
    }
    return (states, nil)
  }

  /// A checkpoint is 65 writes to a file without a name in the store, of which no crash can show more than
  /// that it was there: the first, the last, and one in eight are enough.
  private static func thinned(
    _ images: [SimulatedFileSystem.Image]
  ) -> [SimulatedFileSystem.Image] {
    func isWrite(_ index: Int, to path: String) -> Bool {
      images.indices.contains(index) && images[index].operation == "write"
        && images[index].path == path
    }
    return images.enumerated().filter { index, image in
      let isWithin =
        image.path.hasSuffix(".tmp")
        && (index - 1...index + 1).allSatisfy { isWrite($0, to: image.path) }
      return !isWithin || index.isMultiple(of: 8)
    }.map(\.element)
  }

  func open(_ disk: SimulatedFileSystem, _ options: OnlineStoreOptions) throws
    -> OnlineStore
  {
    try OnlineStore.open(
      directory: "/log", fileSystem: disk, clock: FixedClock(), options: options)
  }

  /// Recovers, by every other chance with a crash meanwhile, and goes on; what is wrong.
  private func check(
    _ crashed: SimulatedFileSystem, _ promise: StorePromise, _ options: OnlineStoreOptions,
    _ chance: UInt64
  ) -> String? {
    var disk = crashed
    do {
      if chance % 2 == 0 {
        disk.recordImages()
        _ = try open(disk, options)
        let images = disk.images
        if !images.isEmpty {
          disk = images[Int(chance / 2 % UInt64(images.count))].disk.crashed(seed: chance &+ 1)
        }
      }
      let found = try FoundStore(open(disk, options))
      if let broken = promise.violation(found) { return broken }
      // What was answered once is there for ever.
      let later = disk.crashed(seed: chance &+ 2)
      let again = try open(later, options)
      let same = StorePromise(
        states: [StoreState(answers: found.answers, followed: found.followed)],
        followedLSN: found.firstLSN - 1)
      if let broken = same.violation(try FoundStore(again)) {
        return "what was recovered was not durable: \(broken)"
      }
      return chance % 8 < 3 ? try goOn(again, later, found.answers, options) : nil
    } catch { return "\(error)" }
  }

  /// The store can be used: written, cleaned, purged and opened again, also without its checkpoint.
  func goOn(
    _ store: OnlineStore, _ disk: SimulatedFileSystem,
    _ before: [UInt8: StoreModel.Answer], _ options: OnlineStoreOptions
  ) throws -> String? {
    var answers = before
    try store.verify()
    let put = LogEntry(.put, groupID: StoreState.groupID, eventTime: 1, key: [60], row: [1, 2, 3])
    let lsn = try store.append([put]).lowerBound
    StoreModel.apply(put, lsn: lsn, to: &answers)
    try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 8192)
    try store.purge(groupID: StoreState.groupID, key: [1])
    answers[1] = nil
    if try FoundStore(store).answers != answers { return "it answers otherwise after cleaning" }
    try store.close()
    let next = disk.crashed(seed: 3)
    for name in ["", "/log/INDEX"] {
      if !name.isEmpty { _ = try next.removeFile(name) }
      let again = try open(next, options)
      let found = try FoundStore(again)
      if found.answers != answers || found.contradiction != nil {
        return found.contradiction ?? "it answers otherwise after it was closed"
      }
      try again.verify()
      try again.close()
    }
    return nil
  }

  public static func sequences(_ length: Int) -> [[Operation]] {
    if length == 0 { return [[]] }
    return sequences(length - 1).flatMap { rest in Operation.allCases.map { rest + [$0] } }
  }
}
