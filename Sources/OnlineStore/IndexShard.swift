internal import WriteAheadLog

/// Part of the index: open addressing with linear probing, 16 bytes a slot (the key's hash and where
/// the newest record lies), at most three quarters full. Position 0 is an empty slot: no record lies
/// in a segment's header. Nothing is ever removed; a tombstone is a record like any other.
struct IndexShard {
  private(set) var tags: [UInt64] = []
  private(set) var positions: [UInt64] = []
  private(set) var count = 0

  /// Slots whose tag fits, in probing order, until `isMatch` says that it is the key. Returns its slot.
  func find(_ tag: UInt64, isMatch: (LogPosition) -> Bool) -> Int? {
    guard !tags.isEmpty else { return nil }
    let mask = tags.count - 1
    var slot = Int(truncatingIfNeeded: tag) & mask
    while positions[slot] != 0 {
      if tags[slot] == tag, isMatch(LogPosition(rawValue: positions[slot])) { return slot }
      slot = (slot + 1) & mask
    }
    return nil
  }

  func position(at slot: Int) -> LogPosition { LogPosition(rawValue: positions[slot]) }

  mutating func replace(_ slot: Int, with position: LogPosition) {
    positions[slot] = position.rawValue
  }

  /// Adds a key that `find` did not find.
  mutating func insert(_ tag: UInt64, _ position: LogPosition) {
    if (count + 1) * 4 > tags.count * 3 { grow() }
    place(tag, position.rawValue)
    count += 1
  }

  private mutating func place(_ tag: UInt64, _ position: UInt64) {
    let mask = tags.count - 1
    var slot = Int(truncatingIfNeeded: tag) & mask
    while positions[slot] != 0 { slot = (slot + 1) & mask }
    tags[slot] = tag
    positions[slot] = position
  }

  private mutating func grow() {
    let (oldTags, oldPositions) = (tags, positions)
    let capacity = max(64, oldTags.count * 2)
    tags = [UInt64](repeating: 0, count: capacity)
    positions = [UInt64](repeating: 0, count: capacity)
    for slot in oldTags.indices where oldPositions[slot] != 0 {
      place(oldTags[slot], oldPositions[slot])
    }
  }

  var sizeBytes: Int { tags.count * 16 }
}
