import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Damage of every kind to the files of a small log: it is found, or it harms nothing. Never a wrong
/// record, and never a missing one.
@Suite struct CorruptionTests {
  /// A log of a few segments of which the first is removed, closed properly; and its records.
  struct Sample {
    let files = SimulatedFileSystem()
    var records: [LogSequenceNumber: UInt8] = [:]
    var positions: [LogSequenceNumber: LogPosition] = [:]
    var endLSN: LogSequenceNumber = 0

    init(_ count: Int = 11) throws {
      let log = try open(files)
      for (index, position) in try append(log, 0..<count).enumerated() {
        positions[Int64(index) + 1] = position
      }
      try log.removeSegments(upTo: 4)
      records = try contents(log, from: log.firstLSN)
      positions = positions.filter { records[$0.key] != nil }
      try log.close()
      endLSN = log.readableLSN
    }

    var paths: [String] { files.paths.filter { !$0.hasSuffix("/LOCK") } }

    /// What is wrong with how a log on this disk behaves; nil when the damage is found or harmless.
    func problem(_ disk: SimulatedFileSystem) -> (text: String?, isFound: Bool) {
      let reader: WriteAheadLog
      do {
        let log = try open(disk.restarted())
        guard try contents(log, from: log.firstLSN) == records else {
          return ("opened with other records", false)
        }
      } catch is WriteAheadLogError {} catch { return ("\(error)", false) }
      // Opening from the end reads the last segment alone; the rest is checked when it is read.
      do {
        reader = try WriteAheadLog.open(
          directory: "/log", fileSystem: disk, options: smallSegments(), from: endLSN + 1
        ) { _, _, _ in true }
      } catch { return (nil, true) }
      var isFound = false
      let memory = reader.memory()
      for (lsn, position) in positions {
        let payload = [UInt8](repeating: records[lsn] ?? 0, count: 1000)
        let isShown = memory.shows(payload, at: position)
        do {
          let isRight = try reader.read(at: position) { $0 == lsn && $1.isEqual(to: payload) }
          guard isRight, isShown else { return ("LSN \(lsn) reads wrong", false) }
        } catch {
          // What the mapped log shows of it must be nothing too.
          if memory.view.pointee.record(at: position) != nil {
            return ("LSN \(lsn) is seen and cannot be read", false)
          }
          isFound = true
        }
      }
      do {
        let report = try reader.verify()
        if isFound, report.damages.isEmpty { return ("verify did not see it", false) }
        return (nil, isFound || !report.damages.isEmpty)
      } catch { return ("verify failed: \(error)", false) }
    }
  }

  @Test func everyDamagedByteIsFoundOrHarmless() throws {
    let sample = try Sample()
    // Every byte of what was written, and a few of what was not; all of them in a nightly run.
    let step = setting("FSTORE_DAMAGE_STEP", 5)
    var counts = (found: 0, harmless: 0)
    for path in sample.paths {
      let bytes = try #require(sample.files.bytes(of: path))
      for index in bytes.indices where index % (bytes.count > 64 ? step : 1) == 0 {
        let disk = sample.files.restarted()
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(index % 8)
        disk.overwrite(path, with: damaged)
        let (text, isFound) = sample.problem(disk)
        #expect(text == nil, "byte \(index) of \(path)")
        if text != nil { return }
        if isFound { counts.found += 1 } else { counts.harmless += 1 }
      }
    }
    #expect(counts.found > counts.harmless)
  }

  @Test func everyZeroedSectorIsFoundOrHarmless() throws {
    let sample = try Sample()
    for path in sample.paths {
      let bytes = try #require(sample.files.bytes(of: path))
      for start in stride(from: 0, to: bytes.count, by: 512) {
        let disk = sample.files.restarted()
        var damaged = bytes
        let end = min(start + 512, bytes.count)
        damaged.replaceSubrange(start..<end, with: [UInt8](repeating: 0, count: end - start))
        disk.overwrite(path, with: damaged)
        let (text, isFound) = sample.problem(disk)
        #expect(text == nil, "sector at \(start) of \(path)")
        #expect(isFound || damaged == bytes || path.hasSuffix("DURABLE"), "\(start) of \(path)")
      }
    }
  }

  @Test func everyMovedSectorIsFoundOrHarmless() throws {
    let sample = try Sample()
    let segments = sample.paths.filter { $0.hasSuffix(".log") }
    var generator = SeededGenerator(seed: 9)
    for _ in 0..<setting("FSTORE_MOVED_SECTORS", 150) {
      let (from, to) = (
        segments[generator.below(segments.count)], segments[generator.below(segments.count)]
      )
      let source = try #require(sample.files.bytes(of: from))
      var damaged = try #require(sample.files.bytes(of: to))
      let (start, target) = (
        generator.below(source.count / 512) * 512, generator.below(damaged.count / 512) * 512
      )
      damaged.replaceSubrange(target..<target + 512, with: source[start..<start + 512])
      let disk = sample.files.restarted()
      disk.overwrite(to, with: damaged)
      #expect(sample.problem(disk).text == nil, "\(from) \(start) over \(to) \(target)")
    }
  }

  @Test func everyShortenedFileIsFoundOrHarmless() throws {
    let sample = try Sample()
    for path in sample.paths {
      let bytes = try #require(sample.files.bytes(of: path))
      let last = bytes.lastIndex { $0 != 0 } ?? 0
      for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 97)) {
        let disk = sample.files.restarted()
        disk.overwrite(path, with: Array(bytes[..<count]))
        let (text, isFound) = sample.problem(disk)
        #expect(text == nil, "\(count) bytes of \(path)")
        #expect(isFound || count > last || path.hasSuffix("DURABLE"), "\(count) bytes of \(path)")
      }
    }
  }

  @Test func everyMissingFileIsFoundOrHarmless() throws {
    let sample = try Sample()
    for path in sample.paths {
      let disk = sample.files.restarted()
      _ = try disk.removeFile(path)
      let (text, isFound) = sample.problem(disk)
      #expect(text == nil, "\(path)")
      #expect(isFound || path.hasSuffix("DURABLE"), "\(path)")
    }
  }

  /// Files of the same log, of an earlier state of it, and of another log, in each other's place.
  @Test func everySwappedFileIsFoundOrHarmless() throws {
    let sample = try Sample()
    let earlier = SimulatedFileSystem()
    let other = try Sample(14)
    do {
      let log = try open(earlier)
      try append(log, 0..<5)
      try log.close()
    }
    var found = 0
    for path in sample.paths {
      for source in [sample.files, other.files, earlier] {
        for origin in source.paths where source !== sample.files || origin != path {
          let disk = sample.files.restarted()
          disk.overwrite(path, with: try #require(source.bytes(of: origin)))
          let (text, isFound) = sample.problem(disk)
          #expect(text == nil, "\(origin) in the place of \(path)")
          if isFound { found += 1 }
        }
      }
    }
    #expect(found > 20)
  }

  /// An older copy of a file of this very log, as a restored backup or a lost write leaves it.
  @Test func everyFileOfTheLogsOwnPastIsFoundOrHarmless() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    var past: [(path: String, bytes: [UInt8])] = []
    for number in 0..<11 {
      try append(log, number..<number + 1)
      if number == 8 { try log.removeSegments(upTo: 4) }
      for path in files.paths where !path.hasSuffix("LOCK") {
        past.append((path, try #require(files.bytes(of: path))))
      }
    }
    let records = try contents(log, from: log.firstLSN)
    try log.close()
    for (path, bytes) in past where files.bytes(of: path) != bytes {
      let disk = files.restarted()
      if disk.bytes(of: path) == nil {
        let file = try disk.open(path, .create)
        try file.write(bytes, at: 0)
      }
      disk.overwrite(path, with: bytes)
      do {
        let again = try open(disk)
        #expect(try contents(again, from: again.firstLSN) == records, "\(path)")
      } catch is WriteAheadLogError {}
    }
  }

  @Test func verifyNamesEachDamageAndCountsTheRest() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    let positions = try append(log, 0..<12)
    #expect(try log.verify() == LogVerification(whole: 12, log))
    for lsn in [2, 5, 9] {
      let position = positions[lsn - 1]
      let path = "/log/0000000\(position.segment).log"
      var bytes = try #require(files.bytes(of: path))
      bytes[position.byteOffset + 40] ^= 4
      files.overwrite(path, with: bytes)
    }
    let report = try log.verify()
    #expect(report.recordCount == 9 && report.damages.count == 3)
    #expect(
      report.damages.map(\.byteOffset)
        == [2, 5, 9].map { positions[$0 - 1].byteOffset - 32 }, "where the frames begin")
  }

  @Test func damagesBeyondALimitAreCountedOnly() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    let limit = LogVerification.listedDamageLimit
    let positions = try append(log, 0..<limit * 2 + 100)
    var bySegment: [String: [UInt8]] = [:]
    for position in stride(from: 0, to: positions.count, by: 2).map({ positions[$0] }) {
      let path = "/log/" + log.segmentList[Int(position.segment) - 1].fileName
      var bytes = try bySegment.removeValue(forKey: path) ?? #require(files.bytes(of: path))
      bytes[position.byteOffset + 40] ^= 4
      bySegment[path] = bytes
    }
    for (path, bytes) in bySegment { files.overwrite(path, with: bytes) }
    let report = try log.verify()
    #expect(report.recordCount == limit + 50 && report.damageCount == limit + 50)
    #expect(report.damages.count == limit)
  }

  /// Two logs that were one: the same store, the same LSNs, the same lengths, other records.
  @Test func aSegmentOfAnotherTimelineIsFoundOut() throws {
    let files = SimulatedFileSystem()
    var log = try open(files)
    try append(log, 0..<2)
    try log.close()
    let other = files.restarted()
    func goOn(_ disk: SimulatedFileSystem, with number: Int) throws {
      log = try open(disk)
      for _ in 0..<5 { try append(log, number..<number + 1) }
      try log.close()
    }
    try goOn(files, with: 7)
    try goOn(other, with: 8)
    let last = try #require(log.segmentList.last)
    for name in ["00000001.log", "00000002.log", last.fileName].map({ "/log/" + $0 }) {
      let disk = files.restarted()
      if name.hasSuffix(last.fileName) {
        // Of a segment that is first and last only the start of the log says that it is another.
        let cleaned = try open(disk)
        #expect(try cleaned.removeSegments(upTo: .max).count == last.number - 1)
        try cleaned.close()
      }
      disk.overwrite(name, with: try #require(other.bytes(of: name)))
      _ = try disk.removeFile("/log/DURABLE")
      #expect(throws: WriteAheadLogError.self, "\(name)") { try open(disk) }
    }
  }

  /// As docs/file-formats.md has them: masked, with the segment's salt, or its complement for a record.
  @Test func checksumsAreThoseOfTheFormat() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    try append(log, 0..<1)
    let bytes = try #require(files.bytes(of: "/log/00000001.log"))
    let salt = bytes.rawSpan.loadLittleEndian(UInt32.self, at: 40)
    for (start, salt) in [(4096, salt), (4096 + 32, ~salt)] {
      let length = bytes.rawSpan.loadLittleEndian(UInt32.self, at: start)
      // A frame's length is all of it, a record's that of its payload.
      let end = start == 4096 ? start + Int(length) : start + 16 + (Int(length) + 7) / 8 * 8
      var sum = CRC32C()
      sum.update(UInt64(salt) << 32 | UInt64(length))
      sum.update(bytes.rawSpan.extracting(start + 8..<end))
      let rotated = sum.value >> 15 | sum.value << 17
      #expect(
        bytes.rawSpan.loadLittleEndian(UInt32.self, at: start + 4) == rotated &+ 0xa282_ead8)
    }
  }

  @Test func aRecordOfAnotherSegmentIsNotTaken() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    let positions = try append(log, 0..<9)
    let (from, to) = ("/log/00000001.log", "/log/00000002.log")
    let source = try #require(files.bytes(of: from))
    let target = try #require(files.bytes(of: to))
    files.overwrite(to, with: Array(target[..<4096] + source[4096...]))
    let position = try #require(positions.first { $0.segment == 2 })
    let twin = try #require(positions.first { $0.segment == 1 })
    #expect(position.byteOffset == twin.byteOffset)
    #expect(throws: WriteAheadLogError.self) { try log.read(at: position) { lsn, _ in lsn } }
    #expect(throws: WriteAheadLogError.self) { try contents(log, from: 1) }
    #expect(try log.verify().damages.count == 1)
  }
}

extension LogVerification {
  init(whole count: Int, _ log: WriteAheadLog) {
    self.init()
    recordCount = count
    sizeBytes = log.segmentList.reduce(0) { $0 + $1.usedBytes - 4096 }
  }
}
