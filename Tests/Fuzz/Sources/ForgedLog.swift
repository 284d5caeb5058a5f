import Storage
import TestSupport
import WriteAheadLog

/// A log's files made of the fuzzer's bytes. Checksums can be made right, or no input would come further
/// than them.
struct ForgedLog {
  struct Flags: OptionSet {
    var rawValue: UInt8
    /// Checksums of frames and records are made right.
    static let checksums = Flags(rawValue: 1)
    /// The frames lie in two segments.
    static let twoSegments = Flags(rawValue: 2)
    /// There is a durable mark.
    static let mark = Flags(rawValue: 4)
    /// There is a file with the log's start.
    static let start = Flags(rawValue: 8)
    /// It is opened as a reader does, too.
    static let reader = Flags(rawValue: 16)
    /// It is opened as a store's log, too.
    static let entries = Flags(rawValue: 32)
    /// The small files and headers are changed as well.
    static let edits = Flags(rawValue: 64)
    /// LSNs and segments begin near the end of their range.
    static let late = Flags(rawValue: 128)
  }

  let files = SimulatedFileSystem()
  let flags: Flags
  /// What a slow reading finds.
  private(set) var records: Shown = []
  /// Nothing is wrong with it, so it must open.
  private(set) var isWhole = true
  /// The LSNs have run out.
  private(set) var isAtTheEnd = false

  private static let salt: UInt32 = 0x1234_5678
  static let store = StoreIdentifier(high: 0x4000, low: 2 << 62)

  init(_ input: inout Input) {
    flags = Flags(rawValue: input.byte())
    let durable = Int64(input.byte())
    let isLate = flags.contains(.late)
    let firstLSN: Int64 = isLate ? (1 << 62) - 40 : 1
    let firstSegment: UInt32 = isLate ? (.max >> 1) - 8 : 1
    let edits = flags.contains(.edits) ? input.bytes(6) : []
    let split = flags.contains(.twoSegments) ? Int(input.integer(UInt16.self)) & ~7 : nil
    var frames = input.rest()
    frames += [UInt8](repeating: 0, count: (8 - frames.count & 7) & 7)
    var parts = [frames]
    if let split, split < frames.count {
      parts = [Array(frames[..<split]), Array(frames[split...])]
    }
    var lsn = firstLSN
    var chain: UInt32 = 0
    var length = 0
    for (index, var part) in parts.enumerated() {
      var header = header(firstSegment + UInt32(index), lsn, length, chain)
      if edits.count == 6, Int(edits[0] & 1) == index { damage(&header, edits) }
      var walk = FrameWalk(salt: ForgedLog.salt, lsn: lsn)
      walk.run(&part, fixing: flags.contains(.checksums))
      let isLast = index == parts.count - 1
      if !isLast, walk.end != part.count { isWhole = false }
      if isLast, part[walk.end...].contains(where: { $0 != 0 }) { isWhole = false }
      records += walk.records
      (lsn, chain, length) = (walk.lsn, walk.chain, 4096 + part.count)
      add(
        Segment.name(firstSegment + UInt32(index)),
        header + part + [UInt8](repeating: 0, count: isLast ? 64 : 0))
    }
    // Repairing may need one segment more than there are.
    if isLate { isWhole = false }
    isAtTheEnd = isLate || lsn > (1 << 62) - 4096
    addSmallFiles(
      firstSegment, firstLSN, last: firstSegment + UInt32(parts.count - 1), lsn, durable, edits)
  }

  private enum Segment {
    static func name(_ number: UInt32) -> String {
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 8 - digits.utf8.count) + digits + ".log"
    }
  }

  private func add(_ name: String, _ bytes: [UInt8]) {
    do {
      let file = try files.open("/log/" + name, .create)
      try file.write(bytes, at: 0)
      try file.synchronizeData()
      try files.createDirectory("/log", withIntermediates: true)
      try files.synchronizeDirectory("/log")
    } catch { fail("\(error)") }
  }

  private func header(
    _ segment: UInt32, _ lsn: Int64, _ predecessorLength: Int, _ chain: UInt32
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    bytes.storeLittleEndian(0x4C57_4552_4F54_5346 as UInt64, at: 0)
    bytes.storeLittleEndian(1 as UInt32, at: 8)
    bytes.storeLittleEndian(segment, at: 12)
    bytes.storeLittleEndian(ForgedLog.store.high, at: 16)
    bytes.storeLittleEndian(ForgedLog.store.low, at: 24)
    bytes.storeLittleEndian(lsn, at: 32)
    bytes.storeLittleEndian(ForgedLog.salt, at: 40)
    bytes.storeLittleEndian(chain, at: 44)
    bytes.storeLittleEndian(Int64(predecessorLength), at: 48)
    seal(&bytes, at: 4088)
    return bytes
  }

  private func seal(_ bytes: inout [UInt8], at offset: Int) {
    let sum = CRC32C(of: bytes.rawSpan.extracting(first: offset)).masked
    bytes.storeLittleEndian(sum, at: offset)
  }

  /// Changes a header, with its checksum or without.
  private mutating func damage(_ header: inout [UInt8], _ edits: [UInt8]) {
    isWhole = false
    let offset = (Int(edits[1]) | Int(edits[2]) << 8) % (edits[0] & 2 == 0 ? 56 : 4096)
    header[offset] ^= max(edits[3], 1)
    if edits[0] & 4 == 0 { seal(&header, at: 4088) }
  }

  private mutating func addSmallFiles(
    _ firstSegment: UInt32, _ firstLSN: Int64, last: UInt32, _ nextLSN: Int64, _ durable: Int64,
    _ edits: [UInt8]
  ) {
    // Without it the log begins with segment 1.
    if flags.contains(.start) || firstSegment != 1 {
      var start = smallFile(0x5254_5345_524F_5453, firstSegment, firstLSN)
      start.storeLittleEndian(ForgedLog.salt, at: 40)
      seal(&start, at: 60)
      if edits.count == 6, edits[4] != 0 {
        start[Int(edits[4]) % 64] ^= max(edits[5], 1)
        if edits[0] & 8 == 0 { seal(&start, at: 60) }
        isWhole = false
      }
      add("START", start)
    }
    guard flags.contains(.mark) else { return }
    let lsn = firstLSN + durable - 1
    if lsn >= nextLSN { isWhole = false }
    var mark = smallFile(0x454C_4241_5255_4400, last, lsn)
    seal(&mark, at: 60)
    if edits.count == 6, edits[4] == 0, edits[5] != 0 {
      mark[Int(edits[5]) % 64] ^= max(edits[3], 1)
      if edits[0] & 8 == 0 { seal(&mark, at: 60) }
      isWhole = false
    }
    add("DURABLE", mark)
  }

  private func smallFile(_ magic: UInt64, _ segment: UInt32, _ lsn: Int64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64)
    bytes.storeLittleEndian(magic, at: 0)
    bytes.storeLittleEndian(1 as UInt32, at: 8)
    bytes.storeLittleEndian(segment, at: 12)
    bytes.storeLittleEndian(ForgedLog.store.high, at: 16)
    bytes.storeLittleEndian(ForgedLog.store.low, at: 24)
    bytes.storeLittleEndian(lsn, at: 32)
    return bytes
  }
}

/// A slow reading of a segment's frames, from the description in docs/file-formats.md.
struct FrameWalk {
  let salt: UInt32
  var lsn: Int64
  private(set) var records: Shown = []
  private(set) var chain: UInt32 = 0
  private(set) var end = 0

  init(salt: UInt32, lsn: Int64) {
    self.salt = salt
    self.lsn = lsn
  }

  /// Goes through the frames until one is none; makes their checksums right before, if asked.
  mutating func run(_ bytes: inout [UInt8], fixing: Bool) {
    while end + 32 <= bytes.count {
      func word(_ offset: Int) -> UInt32 { bytes.rawSpan.loadLittleEndian(UInt32.self, at: offset) }
      func long(_ offset: Int) -> Int64 { bytes.rawSpan.loadLittleEndian(Int64.self, at: offset) }
      let length = Int(word(end))
      guard length >= 32, length % 8 == 0, end + length <= bytes.count else { return }
      let (count, kind) = (Int(word(end + 16)), word(end + 20))
      var places: [Range<Int>] = []
      if kind == 1 {
        var offset = end + 32
        while places.count < count, offset + 16 <= end + length {
          let size = Int(word(offset))
          guard size <= 16 << 20 else { break }
          places.append(offset..<offset + 16 + size)
          offset += 16 + (size + 7) & ~7
        }
        if offset != end + length { places = [] }
      }
      if fixing { fix(&bytes, end..<end + length, places) }
      guard checksum(bytes, end..<end + length, salt) == word(end + 4) else { return }
      let first = long(end + 8)
      var lsnCount: Int64 = 1
      switch kind {
      case 1:
        guard count > 0, places.count == count else { return }
        lsnCount = Int64(count)
      case 2:
        guard count == 0, length == 40, long(end + 32) > 0 else { return }
        lsnCount = long(end + 32)
      case 3: guard count == 0, length == 32 else { return }
      default: return
      }
      guard first == lsn, 0...(1 << 62) ~= long(end + 24), lsnCount <= (1 << 62) - first + 1 else {
        return
      }
      for (index, place) in places.enumerated() {
        records.append((lsn + Int64(index), Array(bytes[place.lowerBound + 16..<place.upperBound])))
      }
      lsn += lsnCount
      var sum = CRC32C(continuing: chain)
      sum.update(UInt64(word(end + 4)) << 32 | UInt64(length))
      chain = sum.value
      end += length
    }
  }

  private func fix(_ bytes: inout [UInt8], _ frame: Range<Int>, _ places: [Range<Int>]) {
    for (index, place) in places.enumerated() {
      let end = place.lowerBound + 16 + (place.count - 16 + 7) & ~7
      bytes.storeLittleEndian(lsn &+ Int64(index), at: place.lowerBound + 8)
      let sum = checksum(bytes, place.lowerBound..<end, ~salt)
      bytes.storeLittleEndian(sum, at: place.lowerBound + 4)
    }
    let sum = checksum(bytes, frame, salt)
    bytes.storeLittleEndian(sum, at: frame.lowerBound + 4)
  }

  private func checksum(_ bytes: [UInt8], _ range: Range<Int>, _ salt: UInt32) -> UInt32 {
    var sum = CRC32C()
    let length = bytes.rawSpan.loadLittleEndian(UInt32.self, at: range.lowerBound)
    sum.update(UInt64(salt) << 32 | UInt64(length))
    sum.update(bytes.rawSpan.extracting(range.lowerBound + 8..<range.upperBound))
    return sum.masked
  }
}
