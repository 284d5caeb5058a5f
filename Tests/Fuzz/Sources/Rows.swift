import Columnar
import FeatureModel
import Storage

/// Rows and keys as somebody hostile would have written them: every reader says the same of them, an
/// error or a value, under the definition they were written for and under later ones.
func fuzzRows(_ bytes: [UInt8]) {
  var input = Input(bytes)
  let choice = input.byte()
  let group = RowSchemas.all[Int(choice) % RowSchemas.all.count]
  if choice & 0x80 != 0 { return fuzzKey(group, input.rest()) }
  let row = input.rest()
  let reader = RowReader(group)
  let vector = try? FeatureVector(group, row: row)
  var values: [FeatureValue?] = []
  for index in group.features.indices {
    let value = try? reader.value(index, in: row.rawSpan)
    let inVector = try? vector?.value(at: index)
    require(isSame(value, inVector), "feature \(index): \(value as Any), \(inVector as Any)")
    readInPlace(reader, index, row, value)
    values.append(value)
  }
  decodeColumns(group, row, values)
}

/// The typed accessors do not crash, and know nulls from values.
private func readInPlace(
  _ reader: RowReader, _ index: Int, _ row: [UInt8], _ value: FeatureValue?
) {
  let span = row.rawSpan
  let isNull = try? reader.isNull(index, in: span)
  if let value { require(isNull == (value == .null), "feature \(index) is null and is not") }
  var isPresent: Bool? = false
  switch reader.features[index].type {
  case .boolean: isPresent = (try? reader.boolean(index, in: span)) != nil
  case .int, .date: isPresent = (try? reader.int32(index, in: span)) != nil
  case .long, .timestamp: isPresent = (try? reader.int64(index, in: span)) != nil
  case .float: isPresent = (try? reader.float(index, in: span)) != nil
  case .double: isPresent = (try? reader.double(index, in: span)) != nil
  case .decimal: isPresent = (try? reader.decimal(index, in: span)) != nil
  case .list(.float, _):
    var floats = [Float](repeating: 0, count: 3)
    var target = floats.mutableSpan
    isPresent = ((try? reader.copyFloats(index, in: span, to: &target)) ?? nil) != nil
  case .string, .binary, .uuid, .list:
    do throws(FeatureModelError) {
      if let bytes = try reader.bytes(index, in: span) { isPresent = bytes.byteCount >= 0 }
    } catch { return }
  }
  if let value { require(isPresent == (value != .null), "feature \(index) of \(row)") }
}

/// What the columns hold is what the values are; and encoded again they are the same.
private func decodeColumns(_ group: FeatureGroup, _ row: [UInt8], _ values: [FeatureValue?]) {
  let codec = RowCodec(group)
  var rows = EncodedRows()
  rows.append(row)
  guard let columns = try? codec.decode(rows, isPresent: [true]) else { return }
  let again = codec.encode(columns, rowCount: 1)
  guard let once = try? codec.decode(again, isPresent: [true]) else {
    fail("a row that was decoded and encoded cannot be decoded")
  }
  require(codec.encode(once, rowCount: 1).bytes == again.bytes, "encoding changes a row")
  let reader = RowReader(group)
  for (index, value) in values.enumerated() {
    require(columns[index].count == 1, "one row gives one value")
    guard let value else { continue }
    let second = try? reader.value(index, in: again.bytes.rawSpan)
    require(isSame(value, second), "feature \(index): \(value), \(second as Any)")
  }
}

private func fuzzKey(_ group: FeatureGroup, _ key: [UInt8]) {
  let codec = KeyCodec(group)
  let values = try? codec.values(key)
  var keys = EncodedRows()
  keys.append(key)
  guard let columns = try? codec.decode(keys) else { return }
  // Columns take text as it is.
  let isText = zip(group.recordIdentifiers, columns).allSatisfy { identifier, column in
    identifier.type != .string
      || String(validating: column.bytes(at: 0).bytes, as: UTF8.self) != nil
  }
  require((values != nil) == isText, "a key that can be decoded has values")
  let again = codec.encode(columns, rowCount: 1)
  // Booleans have more than one form; encoding knows one.
  if !group.recordIdentifiers.contains(where: { $0.type == .boolean }) {
    require(again.bytes == key, "\(key) is encoded as \(again.bytes)")
  }
}

/// Equal, with NaN equal to itself.
private func isSame(_ left: FeatureValue?, _ right: FeatureValue?) -> Bool {
  switch (left, right) {
  case (.float(let left)?, .float(let right)?): left.bitPattern == right.bitPattern
  case (.double(let left)?, .double(let right)?): left.bitPattern == right.bitPattern
  case (.list(let left)?, .list(let right)?):
    left.count == right.count && zip(left, right).allSatisfy { isSame($0, $1) }
  default: left == right
  }
}

/// Definitions of several shapes, and their later versions.
enum RowSchemas {
  static let all: [FeatureGroup] = {
    do {
      let wide = try group(
        [.string, .long],
        [
          .boolean, .int, .long, .float, .double, .string, .binary, .date, .timestamp,
          .decimal(precision: 20, scale: 3), .uuid, .list(element: .float, dimension: 3),
          .list(element: .string, dimension: nil),
        ])
      let small = try group([.int], [.long])
      let lists = try group(
        [.binary, .uuid, .boolean],
        [
          .list(element: .long, dimension: nil), .list(element: .binary, dimension: 2),
          .list(element: .boolean, dimension: nil), .list(element: .uuid, dimension: 1),
          .list(element: .decimal(precision: 38, scale: 0), dimension: nil),
        ])
      let many = try group(
        [.date, .timestamp, .string], (0..<19).map { $0.isMultiple(of: 3) ? .string : .int })
      return [
        wide, small, lists, many, try wide.adding([Feature("later", .string)]),
        try small.adding([Feature("later", .list(element: .int, dimension: 2))]),
        try many.adding((0..<6).map { Feature("later\($0)", .double) }),
      ]
    } catch { fail("\(error)") }
  }()

  private static func group(
    _ identifiers: [FeatureType], _ types: [FeatureType]
  ) throws -> FeatureGroup {
    try FeatureGroup(
      id: 1, name: "g",
      recordIdentifiers: identifiers.enumerated().map { Feature("k\($0)", $1) },
      eventTimeName: "t", features: types.enumerated().map { Feature("f\($0)", $1) })
  }
}
