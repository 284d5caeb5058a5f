import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// Puts, deletes, purges, conditional writes, checkpoints, cleaning and reopening, beside a model; then a
/// failing call, a kill or a power cut, and what the disk has kept is opened. All of it as the input
/// says.
func fuzzOperations(_ bytes: [UInt8]) {
  var input = Input(bytes)
  let ending = input.byte()
  let seed = UInt64(input.byte())
  let fault = fault(ending, &input)
  // Records are read as memory, or by calls that may fail.
  let files = SimulatedFileSystem(mapsFiles: ending & 32 == 0)
  do {
    let model = try StoreModel(files)
    files.inject(fault)
    var hasFailed = false
    do {
      for _ in 0..<24 where !input.isAtEnd { try model.perform(&input) }
      hasFailed = fault.map { files.calls >= $0.call } ?? false
      if !hasFailed { try check(model, model.store, "while it runs") }
    } catch let error as OnlineStoreError {
      hasFailed = true
      require(fault.map { files.calls >= $0.call } ?? false, "without a fault: \(error)")
    }
    var disk = ending & 1 == 0 ? files.restarted() : files.crashed(seed: seed)
    if ending & 2 != 0 {
      // Another crash, while opening.
      disk.inject(.init(call: 1 + Int(seed) % 40, kind: .crash))
      _ = try? StoreModel.open(disk)
      disk = disk.crashed(seed: seed &+ 1)
    }
    try goOn(model, disk)
  } catch { fail("\(error)") }
}

private func fault(_ ending: UInt8, _ input: inout Input) -> SimulatedFileSystem.Fault? {
  let call = 1 + input.below(400)
  switch ending >> 2 & 7 {
  case 0: return .init(call: call, kind: .crash)
  case 1: return .init(call: call, kind: .inputOutput)
  case 2: return .init(call: call, kind: .inputOutput, lasts: true)
  case 3: return .init(call: call, kind: .full)
  case 4: return .init(call: call, kind: .full, lasts: true)
  default: return nil
  }
}

private func check(_ model: StoreModel, _ store: OnlineStore, _ moment: String) throws {
  if let broken = try model.violation(store) { fail("\(moment): \(broken)") }
}

/// The next process finds everything that was acknowledged, and can work.
private func goOn(_ model: StoreModel, _ disk: SimulatedFileSystem) throws {
  let opened = try StoreModel.open(disk)
  try check(model, opened, "after opening")
  _ = try opened.append([LogEntry(.put, groupID: 9, eventTime: 1, key: [1], row: [1])])
  try opened.clean(upTo: opened.log.durableLSN, minimumLogBytes: 8192)
  try check(model, opened, "after cleaning")
  try opened.close()
  let again = try StoreModel.open(disk.crashed(seed: 1))
  try check(model, again, "after closing")
  require(try again.get(groupID: 9, key: [1])?.entry.row == [1], "the last put is lost")
  try again.close()
}
