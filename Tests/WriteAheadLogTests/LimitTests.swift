import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Numbers at the end of their range, as a damaged or forged file may have them: errors, no overflow.
/// (Fuzzing found that they ended the process.)
@Suite struct LimitTests {
  static let lastLSN: Int64 = 1 << 62
  static let lastSegment: UInt32 = .max >> 1

  /// A disk with an empty log of one segment.
  func disk(segment: UInt32, firstLSN: Int64, durableLSN: Int64? = nil) throws
    -> SimulatedFileSystem
  {
    func small(_ magic: UInt64, _ lsn: Int64) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: 64)
      bytes.storeLittleEndian(magic, at: 0)
      bytes.storeLittleEndian(1 as UInt32, at: 8)
      bytes.storeLittleEndian(segment, at: 12)
      bytes.storeLittleEndian(7 as UInt64, at: 16)
      bytes.storeLittleEndian(lsn, at: 32)
      return bytes
    }
    func seal(_ bytes: inout [UInt8], at offset: Int) {
      let sum = CRC32C(of: bytes.rawSpan.extracting(first: offset)).masked
      bytes.storeLittleEndian(sum, at: offset)
    }
    let files = SimulatedFileSystem()
    func add(_ name: String, _ bytes: [UInt8]) throws {
      try files.open("/log/" + name, .create).write(bytes, at: 0)
    }
    var header =
      small(0x4C57_4552_4F54_5346, firstLSN) + [UInt8](repeating: 0, count: 4096 - 64)
    seal(&header, at: 4088)
    let digits = String(segment, radix: 16)
    let name = String(repeating: "0", count: 8 - digits.utf8.count) + digits + ".log"
    try add(name, header + [UInt8](repeating: 0, count: 4096))
    var start = small(0x5254_5345_524F_5453, firstLSN)
    seal(&start, at: 60)
    try add("START", start)
    if let durableLSN {
      var mark = small(0x454C_4241_5255_4400, durableLSN)
      seal(&mark, at: 60)
      try add("DURABLE", mark)
    }
    return files
  }

  static let impossible: [(UInt32, Int64)] = [
    (.max, 1), (lastSegment + 1, 1), (1, .max), (1, lastLSN + 2),
  ]

  @Test(arguments: impossible)
  func numbersThatNoLogReachesAreDamage(segment: UInt32, firstLSN: Int64) throws {
    for isReadOnly in [false, true] {
      let error = #expect(throws: WriteAheadLogError.self) {
        try open(
          disk(segment: segment, firstLSN: firstLSN), smallSegments(isReadOnly: isReadOnly))
      }
      guard case .corrupt = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test func aMarkBeyondAllNumbersIsNotBelieved() throws {
    let files = try disk(segment: 1, firstLSN: 1, durableLSN: .max)
    let reader = try open(files, smallSegments(isReadOnly: true))
    #expect(try reader.refresh() == 0)
  }

  @Test func aLogThatHasCountedToItsEndTakesNoMoreAndKeepsWhatItHas() throws {
    let files = try disk(segment: 1, firstLSN: Self.lastLSN - 1)
    let log = try open(files)
    #expect(log.lastLSN == Self.lastLSN - 2)
    #expect(throws: WriteAheadLogError.self) { try log.reserve(3) }
    #expect(throws: WriteAheadLogError.self) { try log.append(LogRecords([[1], [2], [3]])) }
    let receipt = try log.append(LogRecords([[1], [2]]))
    #expect(receipt.lsns == Self.lastLSN - 1...Self.lastLSN)
    let error = #expect(throws: WriteAheadLogError.self) { try log.append(LogRecords([[3]])) }
    guard case .full = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    try log.close()
    let again = try open(files)
    #expect(try contents(again, from: Self.lastLSN - 1) == [Self.lastLSN - 1: 1, Self.lastLSN: 2])
    #expect(try again.verify().damages.isEmpty)
  }

  @Test func theLastSegmentALogCanHaveIsNotFollowed() throws {
    let log = try open(disk(segment: Self.lastSegment, firstLSN: 1))
    try append(log, 0..<3)
    let error = #expect(throws: WriteAheadLogError.self) { try append(log, 3..<5) }
    guard case .full = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(try contents(log, from: 1).count >= 3)
    try log.close()
  }
}
