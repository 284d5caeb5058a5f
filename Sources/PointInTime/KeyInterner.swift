import Columnar

/// Entity keys, as typed tuples, to dense ids.
///
/// Each part has a table of its own; of a composite key, the parts' ids are then interned in pairs,
/// from the left. So ("a", "bc") can never meet ("ab", "c"), and 1 never meets "1".
struct KeyInterner: Sendable {
  /// A key part is compared as a word or as bytes, by its type; the other table stays empty.
  struct Part: Sendable {
    let isWord: Bool
    var words = WordTable()
    var bytes = BytesTable()
    var count: Int { isWord ? words.count : bytes.count }
  }

  /// Which column types may meet: integers of both widths do, nothing else is converted.
  private enum Family: Hashable {
    case boolean, integer, date, timestamp, string, binary
    case fixed(Int)
  }

  let types: [DataType]
  private(set) var parts: [Part] = []
  private var pairs: [WordTable]

  init(types: [DataType]) throws(PointInTimeError) {
    guard !types.isEmpty else { throw PointInTimeError(.shape, "a spine needs a key column") }
    self.types = types
    pairs = Array(repeating: WordTable(), count: types.count - 1)
    for type in types {
      switch try Self.family(type) {
      case .boolean, .integer, .date, .timestamp: parts.append(Part(isWord: true))
      case .string, .binary, .fixed: parts.append(Part(isWord: false))
      }
    }
  }

  private static func family(_ type: DataType) throws(PointInTimeError) -> Family {
    switch type {
    case .boolean: return .boolean
    case .int32, .int64: return .integer
    case .date: return .date
    case .timestamp: return .timestamp
    case .string: return .string
    case .binary: return .binary
    case .fixedSizeBinary(let width): return .fixed(width)
    default: throw PointInTimeError(.type, "a key cannot be of type \(type)")
    }
  }

  var keyCount: Int { pairs.last?.count ?? parts[0].count }

  /// Checks that `columns` can be looked up here.
  func check(_ columns: [Column], rowCount: Int) throws(PointInTimeError) {
    guard columns.count == types.count else {
      throw PointInTimeError(
        .shape, "the spine's key has \(types.count) columns, not \(columns.count)")
    }
    for (column, type) in zip(columns, types) {
      guard try Self.family(column.type) == Self.family(type) else {
        throw PointInTimeError(
          .type, "the spine's key column is of type \(type), not \(column.type)")
      }
      guard column.count == rowCount else {
        throw PointInTimeError(.shape, "a key column has \(column.count) values of \(rowCount)")
      }
    }
  }

  /// Gives every row its key's id, new ones to new keys, and -1 where a part is null.
  mutating func intern(_ columns: [Column]) -> [Int32] {
    var ids = internPart(columns[0], 0)
    for index in columns.indices.dropFirst() {
      let second = internPart(columns[index], index)
      for row in ids.indices {
        let isNull = ids[row] < 0 || second[row] < 0
        ids[row] = isNull ? -1 : pairs[index - 1].intern(WordTable.pair(ids[row], second[row]))
      }
    }
    return ids
  }

  private mutating func internPart(_ column: Column, _ index: Int) -> [Int32] {
    var ids = [Int32](repeating: -1, count: column.count)
    var found = ids.mutableSpan
    switch (column.type, column.nullCount) {
    case (.int32, 0), (.date, 0):
      parts[index].words.intern(column.values(as: Int32.self), into: &found)
    case (.int64, 0), (.timestamp, 0):
      parts[index].words.intern(column.values(as: Int64.self), into: &found)
    case (.string, 0), (.binary, 0):
      parts[index].bytes.intern(column.offsets, of: column.bytes, into: &found)
    default:
      for row in 0..<column.count where !column.isNull(row) {
        found[row] =
          parts[index].isWord
          ? parts[index].words.intern(column.keyWord(at: row))
          : parts[index].bytes.intern(column.bytes(at: row))
      }
    }
    return ids
  }

  /// Finds every row's key; -1 where a part is null or the spine does not have the key.
  ///
  /// - Parameter scratch: memory that the next call can use again.
  func find(_ columns: [Column], into ids: inout [Int32], scratch: inout [Int32]) {
    findPart(columns[0], 0, into: &ids)
    for index in columns.indices.dropFirst() {
      findPart(columns[index], index, into: &scratch)
      var first = ids.mutableSpan
      pairs[index - 1].findPairs(scratch.span, into: &first)
    }
  }

  private func findPart(_ column: Column, _ index: Int, into ids: inout [Int32]) {
    let count = column.count
    ids.resize(to: count)
    var found = ids.mutableSpan
    switch column.type {
    case .boolean:
      for row in 0..<count { found[row] = parts[index].words.find(column.keyWord(at: row)) }
    case .int32, .date:
      parts[index].words.find(column.values(as: Int32.self), into: &found)
    case .int64, .timestamp:
      parts[index].words.find(column.values(as: Int64.self), into: &found)
    case .string, .binary:
      parts[index].bytes.find(column.offsets, of: column.bytes, into: &found)
    default:
      for row in 0..<count { found[row] = parts[index].bytes.find(column.bytes(at: row)) }
    }
    guard column.nullCount > 0 else { return }
    for row in 0..<count where column.isNull(row) { found[row] = -1 }
  }
}

extension [Int32] {
  /// Makes room for so many; what they are is for the caller to say.
  mutating func resize(to newCount: Int) {
    if count > newCount { removeLast(count - newCount) }
    if count < newCount { append(contentsOf: repeatElement(-1, count: newCount - count)) }
  }
}

extension Column {
  /// One value of a fixed-width key type, sign-extended.
  fileprivate func keyWord(at row: Int) -> UInt64 {
    switch type {
    case .boolean: boolean(at: row) ? 1 : 0
    case .int32, .date: UInt64(truncatingIfNeeded: values(as: Int32.self)[row])
    default: UInt64(truncatingIfNeeded: values(as: Int64.self)[row])
    }
  }
}
