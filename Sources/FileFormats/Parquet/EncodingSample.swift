public import Columnar

/// Chooses how the columns of a file are encoded and compressed, from some of its rows.
///
/// A dictionary makes values that repeat smaller and faster to write; where values hardly repeat, looking
/// for repetitions takes as long as everything else and gives nothing. The choice is between these two, plain
/// and dictionary, because the vectorised reader of Iceberg for Spark knew no others before version 1.10.
///
/// Plain numbers of which compression saves less than an eighth, as of most measurements, are not compressed (RocksDB
/// has that rule for its blocks): they are written and read much faster, and others hardly become smaller.
public struct EncodingSample {
  /// So many rows are looked at. A quarter of them is the least that says something.
  public static let rowCount = 20_000

  private let batch: RecordBatch
  private var hashes: HashCounts

  /// - Returns: nil when there are too few rows to judge by.
  public init?(_ batch: RecordBatch) {
    guard batch.rowCount >= EncodingSample.rowCount / 4 else { return nil }
    self.batch = batch.slice(0..<min(batch.rowCount, EncodingSample.rowCount))
    hashes = HashCounts()
  }

  /// Sets the encoding of the columns that are of a type that a dictionary may suit.
  ///
  /// - Throws: only for want of memory.
  public mutating func choose(_ options: inout ParquetWriterOptions) throws(FileFormatError) {
    for leaf in batch.schema.leaves where leaf.path.count == 1 {
      guard count(batch.columns[leaf.topLevelIndex]), let repeats = hashes.areRepeated else {
        continue
      }
      var chosen = options.column(leaf)
      chosen.encoding = repeats ? .dictionary : .plain
      if !repeats {
        chosen.isCompressed = try savesAnEighth(options, batch.columns[leaf.topLevelIndex])
      }
      if let id = leaf.field.fieldID {
        options.columnsByFieldID[id] = chosen
      } else {
        options.columnsByPath[leaf.field.name] = chosen
      }
    }
  }

  /// Whether compression saves an eighth of a column's bytes or more. True of texts, without looking.
  private func savesAnEighth(
    _ options: ParquetWriterOptions, _ column: Column
  ) throws(FileFormatError) -> Bool {
    let bytes: [UInt8]
    switch column.type.byteWidth {
    case 4: bytes = EncodingSample.plain(column, UInt32.self)
    case 8: bytes = EncodingSample.plain(column, UInt64.self)
    default: return true
    }
    return try options.compressedBytes(bytes) <= bytes.count - bytes.count / 8
  }

  /// The values as a page has them, without nulls.
  private static func plain<Word: FixedWidthInteger & BitwiseCopyable>(
    _ column: Column, _: Word.Type
  ) -> [UInt8] {
    let values = column.values(as: Word.self)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * MemoryLayout<Word>.size)
    for row in 0..<values.count where !column.isNull(row) {
      unsafe withUnsafeBytes(of: values[row].littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  /// Counts a column's values; false for types that are not judged.
  private mutating func count(_ column: Column) -> Bool {
    hashes.clear()
    switch column.type {
    case .int32, .date, .float32:
      let values = column.values(as: UInt32.self)
      for row in 0..<values.count where !column.isNull(row) { hashes.add(UInt64(values[row])) }
    case .int64, .float64, .time, .timestamp, .timestampNanoseconds:
      let values = column.values(as: UInt64.self)
      for row in 0..<values.count where !column.isNull(row) { hashes.add(values[row]) }
    case .string, .binary:
      for row in 0..<column.count where !column.isNull(row) {
        hashes.add(HashCounts.hash(column.bytes(at: row)))
      }
    default: return false
    }
    return true
  }
}

/// How many different values there are, and how many of them came once: by hash, in open addressing.
private struct HashCounts {
  private static let bitCount = 15
  private var hashes = [UInt64](repeating: 0, count: 1 << bitCount)
  private var isRepeated = [Bool](repeating: false, count: 1 << bitCount)
  private var valueCount = 0
  private var distinctCount = 0
  private var singleCount = 0

  mutating func clear() {
    self = HashCounts()
  }

  /// nil without values. Values that come once although most come often, as in a column of zeros and
  /// measurements, would fill a dictionary as the file grows.
  var areRepeated: Bool? {
    guard valueCount > 0 else { return nil }
    return 2 * distinctCount <= valueCount && 2 * singleCount <= distinctCount
  }

  mutating func add(_ value: UInt64) {
    valueCount += 1
    let hash = HashCounts.mix(value) | 1
    var slot = Int(hash >> UInt64(64 - HashCounts.bitCount))
    while hashes[slot] != hash {
      if hashes[slot] == 0 {
        hashes[slot] = hash
        distinctCount += 1
        singleCount += 1
        return
      }
      slot = (slot + 1) & (hashes.count - 1)
    }
    if !isRepeated[slot] {
      isRepeated[slot] = true
      singleCount -= 1
    }
  }

  static func hash(_ bytes: RawSpan) -> UInt64 {
    var hash = UInt64(bytes.byteCount)
    var offset = 0
    while offset + 8 <= bytes.byteCount {
      let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      hash = mix(hash ^ word)
      offset += 8
    }
    while offset < bytes.byteCount {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      hash = mix(hash ^ UInt64(byte))
      offset += 1
    }
    return hash
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
