import OnlineStore
import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Checkpoints of the index that say something wrong, with checksums that are right: opening believes them,
/// a check finds each out, and a repair makes the index anew from the log.
@Suite struct ForgedIndexTests {
  /// The file INDEX, taken apart.
  struct Index {
    struct Shard {
      var liveBytes: UInt64
      /// Id, zero, live keys, deleted keys.
      var groups: [[UInt8]]
      /// As it stands in the file.
      var written: [UInt8]
      /// Hash and position.
      var entries: [(tag: UInt64, position: UInt64)]
    }

    var header: [UInt8]
    var shards: [Shard] = []

    init(_ bytes: [UInt8]) {
      header = Array(bytes[..<60])
      let span = bytes.rawSpan
      var offset = 64
      while offset < bytes.count {
        let entryCount = Int(span.loadLittleEndian(UInt64.self, at: offset))
        let groupCount = Int(span.loadLittleEndian(UInt32.self, at: offset + 16))
        var shard = Shard(
          liveBytes: span.loadLittleEndian(UInt64.self, at: offset + 8), groups: [],
          written: Array(bytes[offset..<offset + 24 + groupCount * 24 + entryCount * 16]),
          entries: [])
        offset += 24
        for _ in 0..<groupCount {
          shard.groups.append(Array(bytes[offset..<offset + 24]))
          offset += 24
        }
        for _ in 0..<entryCount {
          shard.entries.append(
            (
              span.loadLittleEndian(UInt64.self, at: offset),
              span.loadLittleEndian(UInt64.self, at: offset + 8)
            ))
          offset += 16
        }
        shards.append(shard)
      }
    }

    var encoded: [UInt8] {
      var bytes = header
      bytes.appendLittleEndian(UInt32(0))
      for shard in shards {
        bytes.appendLittleEndian(UInt64(shard.entries.count))
        bytes.appendLittleEndian(shard.liveBytes)
        bytes.appendLittleEndian(UInt32(shard.groups.count))
        bytes.appendLittleEndian(UInt32(0))
        bytes += shard.groups.flatMap(\.self)
        for entry in shard.entries {
          bytes.appendLittleEndian(entry.tag)
          bytes.appendLittleEndian(entry.position)
        }
      }
      forgeChecksums(ofCheckpoint: &bytes)
      return bytes
    }

    /// The shards that have a key.
    var filled: [Int] { shards.indices.filter { !shards[$0].entries.isEmpty } }
  }

  private static let path = "/log/INDEX"

  private func put(_ key: UInt8, _ eventTime: Int64) -> LogEntry {
    LogEntry(.put, groupID: 7, eventTime: eventTime, key: [key], row: [key, key])
  }

  /// A store of 60 keys, of which number 5 is purged and number 6 deleted, closed; its index, and the one
  /// before the last changes.
  private func sample() throws -> (files: SimulatedFileSystem, index: Index, before: Index) {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    for key in 0..<60 as Range<UInt8> { _ = try store.append([put(key, 1)]) }
    try store.checkpoint()
    let before = Index(try #require(files.bytes(of: Self.path)))
    try store.purge(groupID: 7, key: [5])
    _ = try store.append([LogEntry(.tombstone, groupID: 7, eventTime: 2, key: [6]), put(7, 3)])
    try store.checkpoint()
    try store.close()
    return (files, Index(try #require(files.bytes(of: Self.path))), before)
  }

  /// What a check of a store that was opened with this index says, and one after a repair.
  private func damages(
    _ files: SimulatedFileSystem, _ index: Index
  ) throws -> [OnlineVerification.Damage] {
    let disk = files.restarted()
    disk.overwrite(Self.path, with: index.encoded)
    let store = try StoreModel.open(disk)
    let found = try store.inspect().damages
    if found.isEmpty {
      #expect(try store.verify() > 0)
    } else {
      #expect(throws: OnlineStoreError.self) { try store.verify() }
    }
    let identifier = store.log.store
    try store.close()
    disk.overwrite(Self.path, with: index.encoded)
    let repair = try OnlineRepair(
      directory: "/log", fileSystem: disk, clock: FixedClock(), store: identifier, mustReach: 0)
    #expect(repair.isNeeded == !found.isEmpty)
    if repair.isNeeded {
      try disk.createDirectory("/kept", withIntermediates: false)
      try repair.execute(in: "/kept")
    }
    repair.release()
    let repaired = try StoreModel.open(disk)
    #expect(try repaired.inspect().damages.isEmpty)
    #expect(try repaired.get(groupID: 7, key: [5]) == nil)
    #expect(try repaired.get(groupID: 7, key: [7])?.entry.eventTime == 3)
    try repaired.close()
    return found
  }

  @Test func whatWasWrittenIsRight() throws {
    let (files, index, _) = try sample()
    #expect(index.encoded == (try #require(files.bytes(of: Self.path))))
    #expect(try damages(files, index).isEmpty)
  }

  /// A disk that misplaces what it writes, or keeps what it was to write over: each shard is whole, and yet
  /// not of this place in this checkpoint.
  @Test func aShardCountsOnlyWhereItWasWritten() throws {
    let (files, index, before) = try sample()
    let parts = index.shards.map(\.written)
    let older = before.shards.map(\.written)
    var forgeries = zip(index.filled, index.filled.dropFirst()).map { first, second in
      var forged = parts
      forged.swapAt(first, second)
      return forged
    }
    for number in index.filled where older[number] != parts[number] {
      var forged = parts
      forged[number] = older[number]
      forgeries.append(forged)
    }
    #expect(forgeries.count > 40)
    let header = try #require(files.bytes(of: Self.path)).prefix(64)
    for forged in forgeries {
      let disk = files.restarted()
      disk.overwrite(Self.path, with: Array(header) + forged.joined())
      let store = try StoreModel.open(disk)
      for key in 0..<60 as Range<UInt8> {
        let answer = try store.get(groupID: 7, key: [key])
        switch key {
        case 5: #expect(answer == nil)
        case 6: #expect(answer?.entry.kind == .tombstone)
        default: #expect(answer?.entry.eventTime == (key == 7 ? 3 : 1), "key \(key)")
        }
      }
      try store.close()
    }
  }

  @Test func aPurgedKeyThatAnswersIsFound() throws {
    let (files, index, before) = try sample()
    var forged = index
    var added = 0
    for (number, shard) in before.shards.enumerated() {
      // The purged key is the only one that is there no more.
      for entry in shard.entries
      where !index.shards[number].entries.contains(where: { $0.tag == entry.tag }) {
        forged.shards[number] = shard
        added += 1
      }
    }
    #expect(added == 1)
    let found = try damages(files, forged)
    #expect(found.contains { if case .purgedAnswers = $0 { true } else { false } }, "\(found)")
  }

  @Test func aPlaceThatLeadsToTheWrongRecordIsFound() throws {
    let (files, index, _) = try sample()
    let (first, second) = (index.filled[0], index.filled[1])
    let other = index.shards[second].entries[0]
    // Another key's record; where no record begins; a segment that there is not; a header.
    let header = other.position & ~0xFFFF_FFFF | 2
    let nowhere: [UInt64] = [other.position, other.position + 1, 900 << 32 | 1000, header]
    for position in nowhere {
      var forged = index
      forged.shards[first].entries[0].position = position
      let found = try damages(files, forged)
      #expect(found.contains { if case .indexNames = $0 { true } else { false } }, "\(found)")
      let isMissed = found.contains {
        switch $0 {
        case .indexLacks, .unreadableAnswer: true
        default: false
        }
      }
      #expect(isMissed, "\(found)")
    }
    // In a shard in which nobody looks for its key.
    var forged = index
    forged.shards[first].entries.append(other)
    let found = try damages(files, forged)
    #expect(found.count == 1, "\(found)")
    #expect(found.contains { if case .indexNames = $0 { true } else { false } }, "\(found)")
  }

  @Test func anOlderRecordAndASecondPlaceAreFound() throws {
    let (files, index, before) = try sample()
    // The keys whose newest record came after the first checkpoint: the deleted one, and number 7.
    var changed = 0
    for number in index.filled {
      for entry in index.shards[number].entries {
        guard let old = before.shards[number].entries.first(where: { $0.tag == entry.tag }),
          old.position != entry.position
        else { continue }
        changed += 1
        var older = index
        older.shards[number].entries.removeAll { $0.tag == entry.tag }
        older.shards[number].entries.append(old)
        let found = try damages(files, older)
        #expect(found.contains { if case .indexLacks = $0 { true } else { false } }, "\(found)")
        var twice = index
        twice.shards[number].entries.append(old)
        let second = try damages(files, twice)
        #expect(
          second.contains { if case .indexHasTwice = $0 { true } else { false } }, "\(second)")
      }
    }
    #expect(changed == 2)
  }

  @Test func wrongCountsAreFound() throws {
    let (files, index, _) = try sample()
    // Without the deleted key; a count of more keys than there are is not believed from the first.
    let number = try #require(index.filled.first { index.shards[$0].groups[0][16] == 0 })
    var bytes = index
    bytes.shards[number].liveBytes += 8
    var live = index
    live.shards[number].groups[0][8] -= 1
    live.shards[number].groups[0][16] += 1
    var group = index
    group.shards[number].groups[0][0] ^= 1
    var missing = index
    missing.shards[number].entries.removeLast()
    missing.shards[number].groups[0][8] -= 1
    for forged in [bytes, live, group, missing] {
      let found = try damages(files, forged)
      #expect(found.contains { if case .miscounted = $0 { true } else { false } }, "\(found)")
    }
  }

  @Test func damagesBeyondALimitAreCountedOnly() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    let count = OnlineVerification.listedDamageLimit + 50
    for number in 0..<count {
      let key = [UInt8(truncatingIfNeeded: number), UInt8(number >> 8)]
      _ = try store.append([LogEntry(.put, groupID: 7, eventTime: 1, key: key)])
    }
    try store.checkpoint()
    try store.close()
    var index = Index(try #require(files.bytes(of: Self.path)))
    for number in index.filled {
      for entry in index.shards[number].entries.indices {
        index.shards[number].entries[entry].position += 1
      }
    }
    files.overwrite(Self.path, with: index.encoded)
    let report = try StoreModel.open(files).inspect()
    #expect(report.damages.count == OnlineVerification.listedDamageLimit)
    #expect(report.damageCount >= 2 * OnlineVerification.listedDamageLimit)
  }
}
