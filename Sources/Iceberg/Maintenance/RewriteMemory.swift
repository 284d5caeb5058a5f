/// How the memory that a rewrite may take is shared out: first to groups that are rewritten at a time, then within a
/// group: a quarter is for decoding, an eighth for sorting, an eighth for what the writer has open. As much again is what
/// allocators keep and what is copied on the way, as measured (`RewriteMemoryTests`).
struct RewriteMemory: Hashable, Sendable {
  /// Groups that are rewritten at a time.
  let groupCount: Int
  /// Threads that decode a group ahead of its writer; nil: the writer's own, one batch at a time.
  let decodingThreads: Int?
  /// What decoding may hold before it is an error: of files whose values expand beyond all measure.
  let decodingBytes: Int64
  let sortBytes: Int64
  let rowGroupBytes: Int64

  /// What one group needs to be worth being rewritten beside others.
  private static let groupBytes: Int64 = 512 << 20
  /// What a decoding thread may hold: the batch that it decodes and three that wait, of 16 MiB each.
  private static let threadBytes: Int64 = 64 << 20

  init(limit: Int64, groups: Int, threads: Int) {
    groupCount = max(1, min(groups, Int(clamping: limit / Self.groupBytes)))
    let share = limit / Int64(groupCount)
    // One file more than there are threads may have batches that wait.
    let possible = Int(clamping: share / 4 / Self.threadBytes) - 1
    decodingThreads = possible < 1 ? nil : min(possible, max(1, threads))
    // What a file needs beyond it is an error, so this is no share but a limit.
    decodingBytes = max(128 << 20, share / 2)
    sortBytes = share / 8
    rowGroupBytes = share / 8
  }
}
