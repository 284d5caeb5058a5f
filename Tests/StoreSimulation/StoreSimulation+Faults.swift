import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// Calls that fail, once or from then on.
extension StoreSimulation {
  public typealias Fault = SimulatedFileSystem.Fault

  /// Every kind: an error of the disk, or a full one. A write that fails leaves half of its bytes, a sync
  /// that fails makes what it should have written look clean.
  public static let faults = [Fault.Kind.inputOutput, .full].flatMap { kind in
    [false, true].map { Fault(call: 1, kind: kind, lasts: $0) }
  }

  /// Fails each call of the last operation (or one in `step`), as `fault` says; by seed the store maps its
  /// files or reads them by calls, which fail too. How many failures were looked at, and what
  /// was wrong: an operation that returned is there, one that threw is there as a whole or not at all, a store
  /// whose disk failed goes on answering, and the next process goes on writing.
  public func fail(
    _ operations: [Operation], _ durability: Durability, _ fault: Fault, seed: UInt64,
    everyCalls step: Int = 1
  ) throws -> (states: Int, problem: String?) {
    var fault = fault
    fault.call = 1 + Int(seed % UInt64(step))
    let mapsFiles = seed % 4 < 2
    var states = 0
    while true {
      let files = SimulatedFileSystem(mapsFiles: mapsFiles)
      let options = Self.options(durability)
      let run = try StoreRun(files, options)
      for operation in operations.dropLast() { try run.perform(operation) }
      files.inject(fault)
      var failure: (any Error)?
      do { if let last = operations.last { try run.perform(last) } } catch { failure = error }
      let isReached = files.calls >= fault.call
      files.inject(nil)
      if !isReached, failure == nil { return (states, nil) }
      states += 1
      let problem = try self.problem(run, files, failure, options, seed: seed &+ UInt64(fault.call))
      if let problem {
        return (
          states,
          "\(operations) \(durability), \(fault), \(mapsFiles ? "mapped" : "read"), seed \(seed), "
            + "\(failure.map { "\($0)" } ?? "no error"): \(problem)"
        )
      }
      fault.call += step
    }
  }

  private func problem(
    _ run: StoreRun, _ files: SimulatedFileSystem, _ failure: (any Error)?,
    _ options: OnlineStoreOptions, seed: UInt64
  ) throws -> String? {
    var promise = run.promises[run.promises.count - 1]
    switch failure {
    case let failure as OnlineStoreError: if failure.saysNothingWasWritten { promise.pending = nil }
    case nil: break
    case .some(let failure): return "it throws '\(failure)'"
    }
    if let store = run.store {
      if let broken = promise.violationByKey(try FoundStore(store)) {
        return "the store that failed: \(broken)"
      }
      if let broken = goOn(store, &promise, hasFailed: failure != nil) { return broken }
    }
    // The process ends, or the power goes; and after the process has ended and the next has opened the
    // store, the power goes.
    let next = files.restarted()
    if let broken = try promise.violation(FoundStore(open(next, options))) {
      return "the next process: \(broken)"
    }
    for disk in [next.crashed(seed: seed), files.crashed(seed: seed)] {
      let store = try open(disk, options)
      let found = try FoundStore(store)
      if let broken = promise.violation(found) { return "after a power cut: \(broken)" }
      if let broken = try goOn(store, disk, found.answers, options) { return broken }
    }
    return nil
  }

  /// What a store that saw a failure still takes is as good as before; it may refuse to take anything.
  private func goOn(
    _ store: OnlineStore, _ promise: inout StorePromise, hasFailed: Bool
  ) -> String? {
    let put = LogEntry(.put, groupID: StoreState.groupID, eventTime: 9, key: [62], row: [9])
    let (acknowledged, pending) = (promise.states[promise.states.count - 1], promise.pending)
    func written(_ state: StoreState, _ lsn: LogSequenceNumber) -> StoreState {
      var state = state
      state.apply(put, lsn: lsn)
      return state
    }
    do {
      let lsn = try store.append([put]).lowerBound
      promise.states.append(written(acknowledged, lsn))
      if let pending { promise.states += [pending, written(pending, lsn)] }
      // Before the sync: a checkpoint must not claim what the index lacks.
      try store.checkpoint()
      promise.states = [written(acknowledged, lsn)]
      promise.pending = pending.map { written($0, lsn) }
      return nil
    } catch { return hasFailed ? nil : "it takes no more writes: \(error)" }
  }
}

extension OnlineStoreError {
  /// Whether the error promises that the write is not there, and never will be.
  fileprivate var saysNothingWasWritten: Bool {
    switch self {
    case .log(.full), .log(.limitReached), .log(.poisoned), .log(.closed): true
    default: false
    }
  }
}

extension StorePromise {
  /// The same for a store that was stopped within an operation: each key answers as before or with a record of
  /// the operation, and what followers see is not asked.
  fileprivate func violationByKey(_ found: FoundStore) -> String? {
    let acknowledged = states[states.count - 1]
    var allowed = acknowledged.answers.mapValues { [Optional($0)] }
    if let pending {
      for (key, answer) in pending.answers { allowed[key, default: [nil]].append(answer) }
      for key in acknowledged.answers.keys where pending.answers[key] == nil {
        allowed[key]?.append(nil)
      }
      for followed in pending.followed where followed.lsn > acknowledged.lastLSN {
        allowed[followed.entry.key[0], default: [nil]].append(
          StoreModel.Answer(
            eventTime: followed.entry.eventTime, lsn: followed.lsn,
            row: StoreModel.row(followed.entry)))
      }
    }
    for key in StoreState.keys.map({ $0[0] }) {
      if !(allowed[key] ?? [nil]).contains(found.answers[key]) {
        return "key \(key) answers \(String(describing: found.answers[key]?.lsn))"
      }
    }
    return found.contradiction
  }
}
