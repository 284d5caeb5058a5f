internal import Storage

/// Finds the salt of a segment whose header is damaged.
///
/// Without it no frame of the segment could be told from garbage. But a frame's checksum is an affine
/// function of the salt, over bits: so one whole frame gives 32 equations for the 32 bits. Whether the frame
/// was whole is known by its records, which have checksums of their own, or by the frame after it.
enum LostSalt {
  /// The salt of a frame somewhere in `bytes`, which are the segment's from its first frame on; nil
  /// when none is whole. `guesses` are tried first.
  static func find(_ bytes: RawSpan, guesses: [UInt32]) -> UInt32? {
    var offset = 0
    while offset + Frame.headerBytes <= bytes.byteCount {
      let rest = bytes.extracting(droppingFirst: offset)
      offset += 8
      guard let length = Frame.plausibleLength(rest), length <= rest.byteCount else { continue }
      let frame = rest.extracting(first: length)
      guard let kind = kind(of: frame) else { continue }
      if let guess = guesses.first(where: { Frame.validate(frame, salt: $0) != nil }) {
        return guess
      }
      let salt = solve(frame)
      guard Frame.validate(frame, salt: salt) != nil else { continue }
      if kind == .records {
        if recordsAreWhole(frame, salt: salt) { return salt }
      } else if let next = Frame.plausibleLength(rest.extracting(droppingFirst: length)),
        length + next <= rest.byteCount,
        Frame.validate(rest.extracting(length..<length + next), salt: salt) != nil
      {
        return salt
      }
    }
    return nil
  }

  /// What kind of frame this can be, so that garbage is passed over quickly.
  private static func kind(of frame: RawSpan) -> Frame.Kind? {
    guard let byte = UInt8(exactly: frame.loadLittleEndian(UInt32.self, at: 20)),
      let kind = Frame.Kind(rawValue: byte), frame.loadLittleEndian(Int64.self, at: 8) >= 1,
      frame.loadLittleEndian(Int64.self, at: 24) >= 0
    else { return nil }
    return kind
  }

  private static func recordsAreWhole(_ frame: RawSpan, salt: UInt32) -> Bool {
    var offset = Frame.headerBytes
    while offset < frame.byteCount {
      let length = Int(frame.loadLittleEndian(UInt32.self, at: offset))
      let end = offset + LogRecords.sizeBytes(payload: length)
      // `validate` has checked that the records fill the frame.
      let record = frame.extracting(offset..<end)
      guard record.loadLittleEndian(UInt32.self, at: 4) == Frame.recordChecksum(record, salt: salt)
      else { return false }
      offset = end
    }
    return true
  }

  /// The salt under which the frame's checksum is what it says.
  private static func solve(_ frame: RawSpan) -> UInt32 {
    let masked = frame.loadLittleEndian(UInt32.self, at: 4) &- 0xa282_ead8
    let wanted = masked << 15 | masked >> 17
    let length = frame.loadLittleEndian(UInt32.self, at: 0)
    func checksum(_ salt: UInt32) -> UInt32 {
      var sum = CRC32C()
      sum.update(UInt64(salt) << 32 | UInt64(length))
      sum.update(frame.extracting(droppingFirst: 8))
      return sum.value
    }
    let constant = checksum(0)
    // Rows of the system in echelon form: by its highest bit, what the checksum changes by, and which bits
    // of the salt do that.
    var rows = [(change: UInt32, salt: UInt32)](repeating: (0, 0), count: 32)
    func reduced(_ row: (change: UInt32, salt: UInt32)) -> (change: UInt32, salt: UInt32) {
      var row = row
      while row.change != 0 {
        let known = rows[31 - row.change.leadingZeroBitCount]
        if known.change == 0 { break }
        row.change ^= known.change
        row.salt ^= known.salt
      }
      return row
    }
    for bit in 0..<32 as Range<UInt32> {
      let row = reduced((checksum(1 << bit) ^ constant, 1 << bit))
      if row.change != 0 { rows[31 - row.change.leadingZeroBitCount] = row }
    }
    return reduced((wanted ^ constant, 0)).salt
  }
}
