/// Chooses files to rewrite and packs them into groups: a pure function from sizes to groups, step by
/// step what the reference's `BinPackRewriteFilePlanner` does, so that plans are the same.
///
/// Files are taken in scan order. A file is chosen for its size or its deletes; chosen files of a
/// partition go into one group until the next does not fit; a group is kept if rewriting it changes
/// something for the better.
public struct BinPackPlanner: Sendable {
  public let options: RewriteDataFilesOptions

  public init(_ options: RewriteDataFilesOptions) throws(IcebergError) {
    try options.validate()
    self.options = options
  }

  /// - Parameters:
  ///   - candidates: all live data files that the caller's filter lets through, in scan order.
  ///   - outputSpecID: the spec of new files; files of other specs are grouped as one partition.
  public func plan(_ candidates: [RewriteCandidate], outputSpecID: Int32 = 0) -> RewriteFilePlan {
    var plan = RewriteFilePlan(
      groups: [], skipped: [], candidateCount: candidates.count,
      candidateBytes: candidates.reduce(0) { $0.addingSaturated($1.sizeBytes) })
    var places: [[Literal?]: Int] = [:]
    var partitions: [(key: [Literal?], files: [RewriteCandidate])] = []
    for candidate in candidates {
      guard options.rewriteAll || isWorthRewriting(candidate) else {
        plan.skipped.append(.init(file: candidate, reason: .wellSized))
        continue
      }
      let key = candidate.specID == outputSpecID ? candidate.partition : []
      if let place = places[key] {
        partitions[place].files.append(candidate)
      } else {
        places[key] = partitions.count
        partitions.append((key, [candidate]))
      }
    }
    var left = options.maxFilesToRewrite ?? .max
    for partition in partitions {
      for files in pack(partition.files) {
        guard options.rewriteAll || isWorthRewriting(files) else {
          plan.skipped += files.map { .init(file: $0, reason: .tooFewInputFiles) }
          continue
        }
        // The limit may cut a group below `min-input-files`; what remains is still rewritten.
        let taken = files.prefix(Int(clamping: left))
        plan.skipped += files.dropFirst(taken.count).map { .init(file: $0, reason: .overLimit) }
        left -= Int64(taken.count)
        if !taken.isEmpty { plan.groups.append(group(Array(taken), partition.key)) }
      }
    }
    sort(&plan.groups)
    return plan
  }

  private func group(_ files: [RewriteCandidate], _ partition: [Literal?]) -> RewriteFileGroup {
    var size = files.reduce(Int64(0)) { $0.addingSaturated($1.sizeBytes) }
    if options.compressionFactor != 1 {
      size = Int64(saturating: Double(size) * options.compressionFactor)
    }
    return RewriteFileGroup(
      files: files, partition: partition, expectedOutputFiles: expectedOutputFiles(size),
      inputSplitSizeBytes: inputSplitSize(size), maxOutputFileSizeBytes: writeMaxFileSize)
  }
}

// Choosing.
extension BinPackPlanner {
  private func isWorthRewriting(_ file: RewriteCandidate) -> Bool {
    file.sizeBytes < options.minFileSizeBytes || file.sizeBytes > options.maxFileSizeBytes
      || hasTooManyDeletes(file)
  }

  private func isWorthRewriting(_ group: [RewriteCandidate]) -> Bool {
    let size = group.reduce(Int64(0)) { $0.addingSaturated($1.sizeBytes) }
    return (group.count > 1 && Int64(group.count) >= options.minInputFiles)
      || (group.count > 1 && size > options.targetFileSizeBytes)
      || size > options.maxFileSizeBytes
      || group.contains(where: hasTooManyDeletes)
  }

  func hasTooManyDeletes(_ file: RewriteCandidate) -> Bool {
    if Int64(file.deleteFileCount) >= options.deleteFileThreshold { return true }
    guard file.deleteFileCount > 0, file.recordCount > 0 else { return false }
    let deleted = min(file.fileScopedDeletedRecordCount, file.recordCount)
    return Double(deleted) / Double(file.recordCount) >= options.deleteRatioThreshold
  }

  /// A bin takes files until the next does not fit, and is then closed for good; a file that is
  /// larger than a bin gets one of its own.
  private func pack(_ files: [RewriteCandidate]) -> [[RewriteCandidate]] {
    var bins: [[RewriteCandidate]] = []
    var bin: [RewriteCandidate] = []
    var size: Int64 = 0
    for file in files {
      let grown = size.addingSaturated(file.sizeBytes)
      let isFull = Int64(bin.count) >= options.maxFileGroupInputFiles
      if !bin.isEmpty, isFull || grown > options.maxFileGroupSizeBytes {
        bins.append(bin)
        bin = [file]
        size = file.sizeBytes
      } else {
        bin.append(file)
        size = grown
      }
    }
    return bin.isEmpty ? bins : bins + [bin]
  }

  private func sort(_ groups: inout [RewriteFileGroup]) {
    switch options.jobOrder {
    case .none: return
    case .bytesAscending: sort(&groups) { $0.sizeBytes < $1.sizeBytes }
    case .bytesDescending: sort(&groups) { $0.sizeBytes > $1.sizeBytes }
    case .filesAscending: sort(&groups) { $0.files.count < $1.files.count }
    case .filesDescending: sort(&groups) { $0.files.count > $1.files.count }
    }
  }

  /// Stable, which the standard library's sort does not promise to be.
  private func sort(
    _ groups: inout [RewriteFileGroup],
    by precedes: (RewriteFileGroup, RewriteFileGroup) -> Bool
  ) {
    groups = groups.enumerated()
      .sorted { first, second in
        if precedes(first.element, second.element) { return true }
        if precedes(second.element, first.element) { return false }
        return first.offset < second.offset
      }
      .map(\.element)
  }
}

// Sizing.
extension BinPackPlanner {
  /// Half way from the target to the limit: writing on up to here avoids a tiny last file.
  var writeMaxFileSize: Int64 {
    let room = Double(options.maxFileSizeBytes - options.targetFileSizeBytes)
    return Int64(saturating: Double(options.targetFileSizeBytes) + room * 0.5)
  }

  /// How many files this much input becomes. A remainder is worth a file of its own if it is not too
  /// small for one; else it is spread over the others, as long as that does not make them too large.
  func expectedOutputFiles(_ inputSize: Int64) -> Int64 {
    let target = options.targetFileSizeBytes
    guard inputSize >= target else { return 1 }
    let whole = inputSize / target
    let roundedUp = inputSize % target == 0 ? whole : whole + 1
    if inputSize % target > options.minFileSizeBytes { return roundedUp }
    let average = inputSize / whole
    let limit = min(1.1 * Double(target), Double(writeMaxFileSize))
    return Double(average) < limit ? whole : roundedUp
  }

  func inputSplitSize(_ inputSize: Int64) -> Int64 {
    // 5 KiB more, since what is read is seldom divided evenly.
    let estimate = (inputSize / expectedOutputFiles(inputSize)).addingSaturated(5 * 1024)
    return max(options.targetFileSizeBytes, min(estimate, writeMaxFileSize))
  }
}
