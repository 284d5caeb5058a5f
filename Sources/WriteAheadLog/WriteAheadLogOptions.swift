/// When an append returns.
public enum Durability: Hashable, Sendable {
  /// Once the record is on disk.
  case synchronous
  /// At once; a sync follows within this time, while others go on appending. A crash of the machine
  /// loses at most what was appended since, always a suffix; a crash of the process loses nothing.
  case interval(milliseconds: Int)
}

public struct WriteAheadLogOptions: Hashable, Sendable {
  /// The size a segment is given in advance: a larger one is created more seldom, a smaller one can be
  /// cleaned sooner. At least 8 KiB.
  public var segmentCapacityBytes = 64 << 20
  /// Acknowledged means on disk, unless the caller chooses otherwise.
  public var durability = Durability.synchronous
  /// How much one group commit gathers; a larger group takes longer than its sync.
  public var groupLimitBytes = 256 << 10
  /// Opens without the lock, beside a writer, and repairs nothing.
  public var isReadOnly = false
  /// A thread prepares the next segment once the last one is half full, so that no append waits for
  /// that. Without it each new segment is made when it is needed.
  public var preparesSegments = true
  /// The segments' size together beyond which appends are refused with `.limitReached`, until some are
  /// removed; maintenance may go beyond. nil: the disk is the limit.
  public var limitBytes: Int?
  /// Space kept for maintenance: a file of this size, which maintenance removes when it finds the disk
  /// full; until it is there again appends leave that much free. It should hold a checkpoint (16 bytes a
  /// key), a segment, and what else maintenance writes. 0: none.
  public var reserveBytes = 0

  public init() {}

  /// Whether segments are filled with zeros in advance, for the sake of each append's sync.
  var fillsSegments: Bool { durability == .synchronous }
}

/// What opening found and did.
public struct RecoveryReport: Hashable, Sendable {
  public var segmentCount = 0
  /// In the segments that were read.
  public var recordCount = 0
  /// The log was closed properly (or is new), so nothing had to be copied.
  public var wasCleanlyClosed = true
  /// Bytes of an unfinished, never acknowledged write that were cut off.
  public var tornBytes = 0
  /// Where those bytes were set aside.
  public var tornFile: String?
  /// Records at the tail that were written again, because only the next write proves a sync.
  public var copiedRecordCount = 0
}
