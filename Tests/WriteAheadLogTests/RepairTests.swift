import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Repair of a log that was damaged in some way: it opens again, everything that is whole is there with its
/// own value, and what is not there is named, no more and no less.
@Suite struct RepairTests {
  /// A log of a few segments, the first of which were removed; and what is in it.
  struct Sample {
    let files = SimulatedFileSystem()
    let store: StoreIdentifier
    /// Each record's number, and where it lies.
    var records: [LogSequenceNumber: Int] = [:]
    var places: [LogSequenceNumber: (path: String, range: Range<Int>)] = [:]
    /// LSNs that are no records: of a reservation, of the mark of a close.
    var others: [ClosedRange<LogSequenceNumber>: (path: String, range: Range<Int>)] = [:]
    var lsns: Range<LogSequenceNumber> = 1..<1
    /// Where each segment's frames end.
    var ends: [String: Int] = [:]

    static func payload(_ number: Int) -> [UInt8] {
      [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 40 + number % 7 * 90)
        + Array("\(number)".utf8)
    }

    init() throws {
      var log = try open(files)
      store = log.store
      var number = 0
      for round in 0..<26 {
        if round == 15 {
          // Another process goes on.
          try log.close()
          log = try open(files)
        }
        if round == 8 || round == 20 { _ = try log.reserve(5) }
        let numbers = number..<number + 1 + round % 3
        let receipt = try log.append(LogRecords(numbers.map(Self.payload)))
        number = numbers.upperBound
        for (index, position) in receipt.positions.enumerated() {
          let lsn = receipt.lsns.lowerBound + Int64(index)
          records[lsn] = numbers.lowerBound + index
          let size = 16 + (Self.payload(numbers.lowerBound + index).count + 7) & ~7
          places[lsn] = (
            Self.path(position.segment), position.byteOffset..<position.byteOffset + size
          )
        }
      }
      try log.removeSegments(upTo: 14)
      try log.close()
      let reader = try open(files.restarted(), smallSegments(isReadOnly: true))
      lsns = reader.firstLSN..<reader.readableLSN + 1
      for segment in reader.segmentList {
        ends[Self.path(segment.number)] = segment.isSealed ? segment.usedBytes : nil
      }
      records = records.filter { lsns.contains($0.key) }
      places = places.filter { lsns.contains($0.key) }
      findOthers()
    }

    /// The frames without records lie behind each other in the gaps of the others.
    private mutating func findOthers() {
      for path in paths where path.hasSuffix(".log") {
        let bytes = files.bytes(of: path) ?? []
        var offset = 4096
        while offset + 32 <= bytes.count {
          let length = Int(bytes.rawSpan.loadLittleEndian(UInt32.self, at: offset))
          if length == 0 { break }
          let first = bytes.rawSpan.loadLittleEndian(Int64.self, at: offset + 8)
          switch bytes.rawSpan.loadLittleEndian(UInt32.self, at: offset + 20) {
          case 2: others[first...first + 4] = (path, offset..<offset + length)
          case 3: others[first...first] = (path, offset..<offset + length)
          default: break
          }
          offset += length
        }
        ends[path] = ends[path] ?? offset
      }
    }

    static func path(_ segment: UInt32) -> String {
      let digits = String(segment, radix: 16)
      return "/log/" + String(repeating: "0", count: 8 - digits.count) + digits + ".log"
    }

    var paths: [String] { files.paths.filter { !$0.hasSuffix("/LOCK") } }
    var segmentPaths: [String] { paths.filter { $0.hasSuffix(".log") } }

    /// The LSNs of which bytes lie in this range of a file.
    func hit(_ path: String, _ range: Range<Int>) -> Set<LogSequenceNumber> {
      var hit: Set<LogSequenceNumber> = []
      for (lsn, place) in places where place.path == path && place.range.overlaps(range) {
        hit.insert(lsn)
      }
      for (lsns, place) in others where place.path == path && place.range.overlaps(range) {
        hit.formUnion(lsns)
      }
      return hit
    }

    func repair(_ disk: SimulatedFileSystem) throws -> LogRepair {
      try LogRepair(directory: "/log", fileSystem: disk, store: store, mustReach: 0)
    }

    /// Repairs the disk, and says what is wrong with the outcome; `expected` is what has to be lost.
    func problem(_ disk: SimulatedFileSystem, expected: Set<LogSequenceNumber>?) -> String? {
      do {
        let repair = try repair(disk)
        let lost = Set(repair.lost.flatMap { Array($0) })
        if let expected, lost != expected {
          return "lost \(lost.sorted()) instead of \(expected.sorted()); \(repair.damages)"
        }
        if !lost.isEmpty, repair.damages.isEmpty { return "lost without damage" }
        let before = disk.paths.filter { $0.hasPrefix("/log/") }
        let contents = before.map { disk.bytes(of: $0) }
        if repair.isNeeded { try repair.execute(puttingAside: [], in: "/damaged") }
        repair.release()
        for name in repair.replaced {
          let index = before.firstIndex(of: "/log/" + name)
          guard let index, disk.bytes(of: "/damaged/" + name) == contents[index] else {
            return "'\(name)' was not kept"
          }
        }
        return try problem(disk, lost: lost, known: expected != nil)
      } catch { return "\(error)" }
    }

    private func problem(
      _ disk: SimulatedFileSystem, lost: Set<LogSequenceNumber>, known: Bool
    ) throws -> String? {
      let log = try open(disk)
      guard log.store == store else { return "it is another store" }
      if known, log.firstLSN != lsns.lowerBound { return "begins with \(log.firstLSN)" }
      if known, log.lastLSN < lsns.upperBound - 1 { return "ends with \(log.lastLSN)" }
      var found: Set<LogSequenceNumber> = []
      var wrong: String?
      try log.replay(from: log.firstLSN) { lsn, _, payload in
        found.insert(lsn)
        var bytes: [UInt8] = []
        bytes.append(contentsOf: payload)
        if records[lsn].map({ Self.payload($0) }) != bytes { wrong = "LSN \(lsn) is wrong" }
        return true
      }
      if let wrong { return wrong }
      guard found.isDisjoint(with: lost) else { return "what is there was said to be lost" }
      let missing = Set(records.keys).subtracting(found).subtracting(lost)
      if known, !missing.isEmpty { return "lacks \(missing.sorted())" }
      // With START or DURABLE gone nobody knows how far the log went; between there is no hole.
      let (first, last) = (found.min() ?? 0, found.max() ?? 0)
      let holes = missing.filter { $0 > first && $0 < last }
      if !holes.isEmpty { return "lacks \(holes.sorted())" }
      let damages = try log.verify().damages
      guard damages.isEmpty else { return "still damaged: \(damages)" }
      // It goes on, and what is written comes after everything that ever was.
      let receipt = try log.append(LogRecords([[1, 2, 3]]))
      if known, receipt.lsns.lowerBound < lsns.upperBound { return "gives LSNs again" }
      try log.close()
      let again = try open(disk.restarted())
      return again.lastLSN >= receipt.lsns.upperBound ? nil : "the new record is not there"
    }
  }

  @Test func aWholeLogNeedsNoRepair() throws {
    let sample = try Sample()
    #expect(sample.segmentPaths.count >= 4 && sample.others.count >= 2)
    let disk = sample.files.restarted()
    let repair = try sample.repair(disk)
    #expect(!repair.isNeeded && repair.lost.isEmpty && repair.replaced.isEmpty)
    #expect(repair.damages.isEmpty, "\(repair.damages)")
    #expect(repair.recordCount == sample.records.count)
    // The log was opened by nobody else meanwhile.
    #expect(throws: WriteAheadLogError.self) { try open(disk) }
    repair.release()
    #expect(try open(disk).lastLSN == sample.lsns.upperBound - 1)
  }

  @Test func afterAnyFlippedByteAllOtherRecordsAreThere() throws {
    let sample = try Sample()
    let step = setting("FSTORE_DAMAGE_STEP", 13)
    var count = 0
    for path in sample.paths {
      let bytes = sample.files.bytes(of: path) ?? []
      for offset in stride(from: 0, to: sample.ends[path] ?? bytes.count, by: step) {
        let disk = sample.files.restarted()
        var damaged = bytes
        damaged[offset] ^= 1 << UInt8(offset % 8)
        disk.overwrite(path, with: damaged)
        let expected = sample.hit(path, offset..<offset + 1)
        let problem = sample.problem(disk, expected: expected)
        #expect(problem == nil, "byte \(offset) of \(path)")
        count += 1
      }
    }
    #expect(count > 1000)
  }

  @Test func afterAnyZeroedSectorAllOtherRecordsAreThere() throws {
    let sample = try Sample()
    for path in sample.paths {
      let bytes = sample.files.bytes(of: path) ?? []
      let end = sample.ends[path] ?? bytes.count
      for start in stride(from: 0, to: end, by: 512) {
        let disk = sample.files.restarted()
        var damaged = bytes
        let range = start..<min(start + 512, bytes.count)
        damaged.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
        disk.overwrite(path, with: damaged)
        let problem = sample.problem(disk, expected: sample.hit(path, range))
        #expect(problem == nil, "sector at \(start) of \(path)")
      }
    }
  }

  @Test func afterAnyCutAllOtherRecordsAreThere() throws {
    let sample = try Sample()
    for path in sample.segmentPaths {
      let bytes = sample.files.bytes(of: path) ?? []
      for end in stride(from: 0, to: bytes.count, by: 200) {
        let disk = sample.files.restarted()
        disk.overwrite(path, with: Array(bytes[..<end]))
        let problem = sample.problem(disk, expected: sample.hit(path, end..<bytes.count))
        #expect(problem == nil, "\(path) cut at \(end)")
      }
    }
  }

  @Test func aMissingFileLosesWhatItHeldAndNoMore() throws {
    let sample = try Sample()
    for path in sample.paths {
      let disk = sample.files.restarted()
      _ = try disk.removeFile(path)
      let expected = sample.hit(path, 0..<Int.max)
      #expect(expected.isEmpty == !path.hasSuffix(".log"))
      let problem = sample.problem(disk, expected: expected)
      #expect(problem == nil, "without \(path)")
    }
  }

  @Test func swappedSegmentsLoseNothing() throws {
    let sample = try Sample()
    let paths = sample.segmentPaths
    for left in paths.indices {
      for right in paths.indices where left < right {
        let disk = sample.files.restarted()
        disk.overwrite(paths[left], with: sample.files.bytes(of: paths[right]) ?? [])
        disk.overwrite(paths[right], with: sample.files.bytes(of: paths[left]) ?? [])
        let problem = sample.problem(disk, expected: [])
        #expect(problem == nil, "\(paths[left]) and \(paths[right])")
      }
    }
  }

  @Test func segmentsOfAnotherStoreArePutAside() throws {
    let sample = try Sample()
    let other = try Sample()
    let path = sample.segmentPaths[1]
    let disk = sample.files.restarted()
    disk.overwrite(path, with: other.files.bytes(of: path) ?? [])
    let problem = sample.problem(disk, expected: sample.hit(path, 0..<Int.max))
    #expect(problem == nil)
  }

  /// Much damage at once: what is lost is not known beforehand, but nothing is ever wrong.
  @Test func whateverTheDamageNoRecordIsWrong() throws {
    let sample = try Sample()
    for seed in 0..<UInt64(setting("FSTORE_FAULT_SEEDS", 3)) * 60 {
      var generator = SeededGenerator(seed: seed)
      let disk = sample.files.restarted()
      for _ in 0..<1 + generator.below(5) {
        let path = sample.paths[generator.below(sample.paths.count)]
        var bytes = disk.bytes(of: path) ?? []
        switch generator.below(6) {
        case 0: _ = try disk.removeFile(path)
        case 1: disk.overwrite(path, with: Array(bytes.prefix(generator.below(bytes.count + 1))))
        case 2:
          let other = sample.segmentPaths[generator.below(sample.segmentPaths.count)]
          disk.overwrite(path, with: sample.files.bytes(of: other) ?? [])
        default:
          for _ in 0..<1 + generator.below(4) where !bytes.isEmpty {
            bytes[generator.below(bytes.count)] = UInt8(generator.below(256))
          }
          disk.overwrite(path, with: bytes)
        }
      }
      let problem = sample.problem(disk, expected: nil)
      #expect(problem == nil, "seed \(seed)")
    }
  }

  @Test func aCrashAtAnyMomentOfARepairLeavesOneThatCanBeMadeAgain() throws {
    let sample = try Sample()
    let path = sample.segmentPaths[1]
    var bytes = sample.files.bytes(of: path) ?? []
    for offset in 4500..<4510 { bytes[offset] ^= 0xFF }
    let expected = sample.hit(path, 4500..<4510)
    #expect(!expected.isEmpty)
    func damaged() -> SimulatedFileSystem {
      let disk = sample.files.restarted()
      disk.overwrite(path, with: bytes)
      return disk
    }
    let clean = damaged()
    clean.inject(nil)
    try sample.repair(clean).execute(puttingAside: [], in: "/damaged")
    let calls = clean.calls
    #expect(calls > 40)
    for call in 1...calls {
      let disk = damaged()
      disk.inject(.init(call: call, kind: .crash))
      do { try sample.repair(disk).execute(puttingAside: [], in: "/damaged") } catch {}
      for outcome in 0..<3 as Range<UInt64> {
        let after = outcome == 0 ? disk.restarted() : disk.crashed(seed: UInt64(call) * 3 + outcome)
        // It may be done already, and then there is nothing to find.
        let repair = try sample.repair(after)
        if !repair.isNeeded {
          repair.release()
          let log = try open(after)
          #expect(
            try contents(log, from: log.firstLSN).count == sample.records.count - expected.count)
          continue
        }
        #expect(Set(repair.lost.flatMap { Array($0) }).isSubset(of: expected), "call \(call)")
        try repair.execute(puttingAside: [], in: "/damaged-\(outcome)")
        repair.release()
        let log = try open(after)
        let left = try contents(log, from: log.firstLSN)
        #expect(
          left.count == sample.records.count - expected.count, "call \(call), outcome \(outcome)")
        #expect(try log.verify().damages.isEmpty)
      }
    }
  }

  @Test func aFullDiskEndsARepairAndLeavesEverything() throws {
    let sample = try Sample()
    let path = sample.segmentPaths[0]
    let disk = sample.files.restarted()
    var bytes = sample.files.bytes(of: path) ?? []
    bytes[5000] ^= 1
    disk.overwrite(path, with: bytes)
    disk.limit(toBytes: disk.usedBytes + 2 * Int64(bytes.count))
    let before = disk.paths.filter { $0.hasPrefix("/log/") }
    do {
      let repair = try sample.repair(disk)
      #expect(throws: WriteAheadLogError.self) {
        try repair.execute(puttingAside: [], in: "/damaged")
      }
    }
    #expect(disk.paths.filter { $0.hasPrefix("/log/") } == before)
    disk.limit(toBytes: .max)
    for name in disk.paths where name.hasPrefix("/damaged") { _ = try disk.removeFile(name) }
    let problem = sample.problem(disk, expected: sample.hit(path, 5000..<5001))
    #expect(problem == nil)
  }

  @Test func whatFollowersHaveIsNeverGivenAgain() throws {
    let sample = try Sample()
    let disk = sample.files.restarted()
    let end = sample.lsns.upperBound
    let repair = try LogRepair(
      directory: "/log", fileSystem: disk, store: sample.store, mustReach: end + 20)
    #expect(repair.isNeeded && repair.lost == [end...end + 20])
    try repair.execute(puttingAside: [], in: "/damaged")
    repair.release()
    let log = try open(disk)
    #expect(try log.append(LogRecords([[1]])).lsns.lowerBound == end + 21)
  }

  /// What a crash had cut off must not come back, though its frames are whole and have LSNs that are lost.
  @Test func writesThatWereCutOffBeforeAreNotTakenForLostOnes() throws {
    let files = SimulatedFileSystem()
    var options = smallSegments()
    options.durability = .interval(milliseconds: 1_000_000)
    let log = try open(files, options)
    try append(log, 0..<1)
    try log.synchronize()
    let positions = try append(log, 1..<3)
    let disk = files.restarted()
    let path = "/log/00000001.log"
    var bytes = try #require(disk.bytes(of: path))
    for offset in 0..<64 { bytes[positions[0].byteOffset - 32 + offset] = 0 }
    disk.overwrite(path, with: bytes)
    // Recovery cuts off what follows the torn write; the LSNs are given to others.
    let again = try open(disk)
    #expect(again.lastLSN == 1 && again.recovery.tornBytes > 0)
    let later = try append(again, 11..<13)
    try again.close()
    let store = again.store
    for damage in ["record", "header", "both", "segment"] {
      let copy = disk.restarted()
      let second = "/log/00000002.log"
      var bytes = try #require(copy.bytes(of: second))
      if damage == "record" || damage == "both" { bytes[later[1].byteOffset + 50] ^= 1 }
      if damage == "header" || damage == "both" { bytes[16] ^= 1 }
      copy.overwrite(second, with: bytes)
      if damage == "segment" { _ = try copy.removeFile(second) }
      let repair = try LogRepair(
        directory: "/log", fileSystem: copy, store: store, mustReach: 0)
      #expect(repair.isNeeded, "\(damage)")
      try repair.execute(puttingAside: [], in: "/damaged")
      repair.release()
      let repaired = try open(copy)
      let found = try contents(repaired, from: 1)
      let expected: [LogSequenceNumber: UInt8] =
        switch damage {
        case "header": [1: 0, 2: 11, 3: 12]
        case "segment": [1: 0]
        default: [1: 0, 2: 11]
        }
      #expect(found == expected, "\(damage)")
    }
  }

  /// A frame behind the damage is not kept, as it was perhaps never acknowledged; but it says which LSNs
  /// before it were durable, and a follower may have them.
  @Test func whatALaterFrameShowsToHaveBeenDurableIsNeverGivenAgain() throws {
    let files = SimulatedFileSystem()
    var options = smallSegments()
    options.durability = .interval(milliseconds: 1_000_000)
    let log = try open(files, options)
    func append(_ count: Int) throws -> [LogPosition] {
      try (0..<count).map { _ in try log.append(LogRecords([[1]])).positions[0] }
    }
    let positions = try append(3)
    try log.synchronize()
    let later = try append(2)
    let disk = files.restarted()
    let path = "/log/00000001.log"
    var bytes = try #require(disk.bytes(of: path))
    // All of the second frame up to the fifth.
    for offset in positions[1].byteOffset - 32..<later[1].byteOffset - 32 { bytes[offset] = 0 }
    disk.overwrite(path, with: bytes)
    for name in disk.paths where name.hasSuffix("/DURABLE") { _ = try disk.removeFile(name) }
    let repair = try LogRepair(directory: "/log", fileSystem: disk, store: log.store, mustReach: 0)
    #expect(repair.lost == [2...3])
    try repair.execute(puttingAside: [], in: "/damaged")
    repair.release()
    #expect(try open(disk).append(LogRecords([[1]])).lsns.lowerBound == 4)
  }

  /// What a header says under a right checksum can still not be true.
  @Test(arguments: ["first LSN", "predecessor", "segment"])
  func headersThatCannotBeAreRepaired(_ damage: String) throws {
    let sample = try Sample()
    let disk = sample.files.restarted()
    let path = damage == "first LSN" ? "/log/START" : sample.segmentPaths[1]
    var bytes = try #require(disk.bytes(of: path))
    let checksumOffset = damage == "first LSN" ? 60 : 4088
    switch damage {
    case "first LSN": bytes.storeLittleEndian(Int64.max, at: 32)
    case "predecessor": bytes.storeLittleEndian(7 as Int64, at: 48)
    default: bytes.storeLittleEndian(UInt32.max >> 1, at: 12)
    }
    let sum = CRC32C(of: bytes.rawSpan.extracting(first: checksumOffset)).masked
    bytes.storeLittleEndian(sum, at: checksumOffset)
    disk.overwrite(path, with: bytes)
    if damage == "segment" {
      // The last number that a segment can have leaves none to repair with.
      #expect(throws: WriteAheadLogError.self) { _ = try sample.repair(disk) }
    } else {
      #expect(sample.problem(disk, expected: []) == nil)
    }
  }
}
