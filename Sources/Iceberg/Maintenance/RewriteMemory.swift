/// How the memory that a rewrite may take is shared out: first to groups that are rewritten at a time, then within a
/// group: a quarter is for decoding, a tenth for sorting, an eighth for what the writer has open. As much again is what
/// is copied on the way and what allocators keep, which `ResidentBound` sees to, as measured (`RewriteMemoryTests`).
struct RewriteMemory: Hashable, Sendable {
  /// Groups that are rewritten at a time.
  let groupCount: Int
  /// What decoding may hold before it is an error: of files whose values expand beyond all measure.
  let decodingBytes: Int64
  let sortBytes: Int64
  let rowGroupBytes: Int64
  private let share: Int64
  private let threads: Int

  /// What one group needs to have row groups of the usual size.
  private static let groupBytes: Int64 = 1 << 30
  /// What a thread may hold: the batch that it decodes and three that wait, of 16 MiB each.
  private static let threadBytes: Int64 = 64 << 20
  /// The same of small files, whose batches are of at most 4 MiB before they are decoded.
  private static let smallFilesThreadBytes: Int64 = 32 << 20

  init(limit: Int64, groups: Int, threads: Int) {
    groupCount = max(1, min(groups, Int(clamping: limit / Self.groupBytes)))
    share = limit / Int64(groupCount)
    self.threads = max(1, threads)
    decodingBytes = max(128 << 20, share / 2)
    sortBytes = share / 10
    rowGroupBytes = share / 8
  }

  /// How a group's files are decoded.
  enum Decoding: Hashable, Sendable {
    /// By threads, ahead of the writer.
    case ahead(threads: Int)
    /// Small files, so many that they make a batch, and the next ones when that is written.
    case inChunks
    /// One batch at a time.
    case oneByOne
  }

  func decoding(_ group: RewriteFileGroup) -> Decoding {
    let areSmall = group.sizeBytes / Int64(max(1, group.files.count)) <= 1 << 20
    let possible = Int(
      clamping: share / 4 / (areSmall ? Self.smallFilesThreadBytes : Self.threadBytes))
    // Of large files one more than there are threads may have batches that wait.
    let count = areSmall ? possible : possible - 1
    if count >= 1 { return .ahead(threads: min(count, threads)) }
    return areSmall ? .inChunks : .oneByOne
  }
}
