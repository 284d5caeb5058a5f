import Columnar
import FeatureModel
import OnlineStore
import Storage
import TestSupport

// Rows, keys and entries: what is encoded is read back the same by every reader, under the definition of
// the time and under later ones; and no two keys have the same bytes.

/// Equal, with NaN equal to itself.
private func isSame(_ left: FeatureValue, _ right: FeatureValue) -> Bool {
  switch (left, right) {
  case (.float(let left), .float(let right)): left.bitPattern == right.bitPattern
  case (.double(let left), .double(let right)): left.bitPattern == right.bitPattern
  case (.list(let left), .list(let right)):
    left.count == right.count && zip(left, right).allSatisfy { isSame($0, $1) }
  default: left == right
  }
}

private func randomGroup(_ generator: inout SeededGenerator) throws -> FeatureGroup {
  var (keys, features): ([Feature], [Feature]) = ([], [])
  for index in 0...generator.below(4) {
    keys.append(Feature("k\(index)", generator.featureType(isKey: true)))
  }
  for index in 0...generator.below(20) {
    features.append(Feature("f\(index)", generator.featureType()))
  }
  return try FeatureGroup(
    id: 1, name: "g", recordIdentifiers: keys, eventTimeName: "t", features: features)
}

private func columns(_ features: [Feature], _ rows: [[FeatureValue]]) throws -> [Column] {
  try features.enumerated().map { index, feature in
    var builder = ValueColumnBuilder(feature.type)
    for row in rows { try builder.append(row[index]) }
    return builder.finish()
  }
}

func checkRows(_ generator: inout SeededGenerator) throws -> Int {
  let group = try randomGroup(&generator)
  let later = try group.adding(
    (0...generator.below(9)).map { Feature("later\($0)", generator.featureType()) })
  var rows: [[FeatureValue]] = []
  for _ in 0...generator.below(64) {
    rows.append(group.features.map { generator.featureValue($0.type) })
  }
  let encoded = RowCodec(group).encode(try columns(group.features, rows), rowCount: rows.count)
  let readers = [RowReader(group), RowReader(later)]
  var writer = RowWriter(RowLayout(group))
  for (number, row) in rows.enumerated() {
    writer.removeAll()
    for (index, value) in row.enumerated() { writer.set(index, value) }
    let isWritten = writer.error == nil && writer.bytes == encoded.array(number)
    try require(isWritten, "a row written value by value is another")
    let vector = try FeatureVector(later, row: encoded.array(number))
    for (index, value) in row.enumerated() {
      for reader in readers {
        let found = try reader.value(index, in: encoded[number])
        try require(isSame(found, value), "\(value) is read as \(found)")
      }
      let found = try vector.value(at: index)
      try require(isSame(found, value), "\(value) is read as \(found)")
    }
    for index in row.count..<later.features.count {
      let isNull = try readers[1].isNull(index, in: encoded[number])
      try require(isNull, "a feature that is newer than the row is null")
    }
  }
  let isPresent = rows.map { _ in true }
  let decoded = try RowCodec(group).decode(encoded, isPresent: isPresent)
  let again = RowCodec(group).encode(decoded, rowCount: rows.count)
  try require(
    again.bytes == encoded.bytes && again.offsets == encoded.offsets, "decoding changes a row")
  let wider = try RowCodec(later).decode(encoded, isPresent: isPresent)
  let narrow = RowCodec(group).encode(wider[..<group.features.count], rowCount: rows.count)
  try require(narrow.bytes == encoded.bytes, "the later definition reads other values")
  return rows.count
}

func checkKeys(_ generator: inout SeededGenerator) throws -> Int {
  let codec = KeyCodec(try randomGroup(&generator))
  // Often equal, or of equal parts in other places.
  let isNarrow = !generator.oneIn(4)
  var keys: [[FeatureValue]] = []
  for _ in 0...generator.below(64) {
    keys.append(
      codec.identifiers.map {
        generator.featureValue($0.type, isNullable: false, isNarrow: isNarrow)
      })
  }
  let encoded = codec.encode(try columns(codec.identifiers, keys), rowCount: keys.count)
  var known: [[UInt8]: [FeatureValue]] = [:]
  for (number, key) in keys.enumerated() {
    let bytes = encoded.array(number)
    let found = try codec.values(bytes)
    try require(found == key, "\(key) is read as \(found)")
    if let other = known.updateValue(key, forKey: bytes) {
      try require(other == key, "\(key) and \(other) have the same bytes")
    }
  }
  try require(known.count == Set(keys).count, "a key has two encodings")
  let again = codec.encode(try codec.decode(encoded), rowCount: keys.count)
  try require(
    again.bytes == encoded.bytes && again.offsets == encoded.offsets, "decoding changes a key")
  return keys.count
}

func checkEntries(_ generator: inout SeededGenerator) throws -> Int {
  let kinds: [LogEntry.Kind] = [.put, .tombstone, .control, .purge]
  for _ in 0..<32 {
    let entry = LogEntry(
      kinds[generator.below(4)], groupID: UInt32(truncatingIfNeeded: generator.next()),
      schemaVersion: UInt32(truncatingIfNeeded: generator.next()),
      eventTime: Int64(bitPattern: generator.next()),
      writeTime: Int64(bitPattern: generator.next()),
      originalLSN: generator.oneIn(2) ? Int64(bitPattern: generator.next()) : nil,
      expiresAt: generator.oneIn(2) ? Int64(bitPattern: generator.next()) : nil,
      key: (0..<generator.below(40)).map { _ in UInt8(generator.below(256)) },
      row: (0..<generator.below(60)).map { _ in UInt8(generator.below(256)) })
    let bytes = entry.encoded
    try require(LogEntry(decoding: bytes.rawSpan) == entry, "\(entry) is read differently")
    let cut = generator.below(bytes.count - entry.row.count)
    let isNone = LogEntry(decoding: bytes.rawSpan.extracting(first: cut)) == nil
    try require(isNone, "\(cut) bytes of \(bytes.count) are an entry")
  }
  return 32
}
