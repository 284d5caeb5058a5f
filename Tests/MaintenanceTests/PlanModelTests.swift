import Iceberg
import TestSupport
import Testing

/// Plans beside the reference's rules written down once more, as plainly as they are stated: no shared code, wide
/// integers, one pass a sentence.
private struct PlanModel {
  struct File {
    var name: String
    var size: Int
    var rows: Int
    var deletes: Int
    var scopedRows: Int
    var partition: Int
    var isOfOutputSpec: Bool
  }

  var target = 512 << 20
  var minimum = 0
  var maximum = 0
  var minInputFiles = 5
  var deleteFiles = 2_147_483_647
  var deleteRatio = 0.3
  var groupBytes = 100 << 30
  var groupFiles = Int.max
  var rewriteAll = false
  var limit = Int.max

  private func hasManyDeletes(_ file: File) -> Bool {
    if file.deletes >= deleteFiles { return true }
    if file.deletes == 0 || file.rows == 0 { return false }
    return Double(min(file.scopedRows, file.rows)) / Double(file.rows) >= deleteRatio
  }

  /// Names by group.
  func groups(_ files: [File]) -> [[String]] {
    // Files of other specs are one partition.
    var order: [Int] = []
    var byPartition: [Int: [File]] = [:]
    for file in files {
      let isWrongSize = file.size < minimum || file.size > maximum
      guard rewriteAll || isWrongSize || hasManyDeletes(file) else { continue }
      let partition = file.isOfOutputSpec ? file.partition : -1
      if byPartition[partition] == nil { order.append(partition) }
      byPartition[partition, default: []].append(file)
    }
    var groups: [[String]] = []
    var left = limit
    for partition in order {
      var bins: [[File]] = [[]]
      for file in byPartition[partition] ?? [] {
        let bin = bins[bins.count - 1]
        let isFull = bin.count + 1 > groupFiles
        let fits = bin.reduce(0) { $0 + $1.size } + file.size <= groupBytes
        if bin.isEmpty || (fits && !isFull) {
          bins[bins.count - 1].append(file)
        } else {
          bins.append([file])
        }
      }
      for bin in bins where !bin.isEmpty {
        let bytes = bin.reduce(0) { $0 + $1.size }
        let isKept =
          rewriteAll || (bin.count > 1 && bin.count >= minInputFiles)
          || (bin.count > 1 && bytes > target) || bytes > maximum
          || bin.contains(where: hasManyDeletes)
        guard isKept, left > 0 else { continue }
        let taken = bin.prefix(left)
        left -= taken.count
        groups.append(taken.map(\.name))
      }
    }
    return groups
  }

  func outputs(_ bytes: Int) -> Int {
    if bytes < target { return 1 }
    let (floor, remainder) = bytes.quotientAndRemainder(dividingBy: target)
    let ceiling = remainder == 0 ? floor : floor + 1
    if remainder > minimum { return ceiling }
    let writeMaximum = Double(target) + Double(maximum - target) * 0.5
    return Double(bytes / floor) < min(1.1 * Double(target), writeMaximum) ? floor : ceiling
  }
}

@Suite struct PlanModelTests {
  @Test(arguments: 0..<400)
  func plansAreThoseOfTheModel(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var model = PlanModel()
    var options: [String: String] = [:]
    func set(_ name: String, _ value: Int) { options[name] = "\(value)" }
    model.target = 1000 + random.below(4000)
    set("target-file-size-bytes", model.target)
    model.minimum = Int(Double(model.target) * 0.75)
    model.maximum = Int(Double(model.target) * 1.8)
    if random.oneIn(3) {
      model.minimum = random.below(model.target)
      set("min-file-size-bytes", model.minimum)
    }
    if random.oneIn(3) {
      model.maximum = model.target + 1 + random.below(model.target)
      set("max-file-size-bytes", model.maximum)
    }
    if random.oneIn(2) {
      model.minInputFiles = 1 + random.below(7)
      set("min-input-files", model.minInputFiles)
    }
    if random.oneIn(3) {
      model.deleteFiles = random.below(4)
      set("delete-file-threshold", model.deleteFiles)
    }
    if random.oneIn(3) {
      model.deleteRatio = Double(1 + random.below(10)) / 10
      options["delete-ratio-threshold"] = "\(model.deleteRatio)"
    }
    if random.oneIn(2) {
      model.groupBytes = model.target / 2 + random.below(5 * model.target)
      set("max-file-group-size-bytes", model.groupBytes)
    }
    if random.oneIn(4) {
      model.groupFiles = 1 + random.below(6)
      set("max-file-group-input-files", model.groupFiles)
    }
    if random.oneIn(6) {
      model.rewriteAll = true
      options["rewrite-all"] = "true"
    }
    if random.oneIn(4) {
      model.limit = 1 + random.below(20)
      set("max-files-to-rewrite", model.limit)
    }
    let partitions = 1 + random.below(4)
    let files = (0..<random.below(60)).map { index in
      let hasDeletes = random.oneIn(3)
      return PlanModel.File(
        name: "\(index)", size: random.below(random.oneIn(4) ? 3 * model.target : model.target),
        rows: random.below(100), deletes: hasDeletes ? random.below(4) : 0,
        scopedRows: hasDeletes ? random.below(120) : 0, partition: random.below(partitions),
        isOfOutputSpec: !random.oneIn(5))
    }
    let candidates = files.map { file in
      var candidate = RewriteCandidate(
        path: file.name, sizeBytes: Int64(file.size), recordCount: Int64(file.rows),
        specID: file.isOfOutputSpec ? 1 : 0, partition: [.int(Int32(file.partition))])
      candidate.deleteFileCount = file.deletes
      candidate.fileScopedDeletedRecordCount = Int64(file.scopedRows)
      return candidate
    }
    let planner = try BinPackPlanner(RewriteDataFilesOptions(options))
    let plan = planner.plan(candidates, outputSpecID: 1)
    #expect(plan.groups.map { $0.files.map(\.path) } == model.groups(files), "\(options)")
    for group in plan.groups {
      #expect(group.expectedOutputFiles == Int64(model.outputs(Int(group.sizeBytes))), "\(options)")
    }
    #expect(plan.fileCount + plan.skipped.count == files.count)
  }
}
