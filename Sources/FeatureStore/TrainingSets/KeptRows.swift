internal import Columnar
internal import Iceberg

/// Feature columns of rows that won when their file was open, so that it need not be opened again.
///
/// No more rows are kept than may win in the end, which is what a training set takes in any case. Rows that have lost
/// since count, too: when these have used up the room, what comes later is read in a second pass.
struct KeptRows {
  /// Rows of one source, ascending, and their columns.
  struct Part {
    var rows: [Int32]
    var columns: [Column]
  }

  private var parts: [Int32: [Part]] = [:]
  private var room: Int

  init(room: Int) { self.room = room }

  /// Whether there is room for so many rows, which is theirs then.
  mutating func reserve(_ count: Int) -> Bool {
    guard count > 0, count <= room else { return false }
    room -= count
    return true
  }

  /// - Parameter rows: ascending, and behind those of the source before.
  mutating func append(_ columns: [Column], rows: [Int32], source: Int32) {
    parts[source, default: []].append(Part(rows: rows, columns: columns))
  }

  /// Gives up what was kept of a source.
  mutating func take(source: Int32) -> [Part] { parts.removeValue(forKey: source) ?? [] }

  /// The columns of some rows, ascending; nil when not all of these were kept.
  static func columns(of rows: [Int32], from parts: [Part]) throws(ColumnSizeError) -> [Column]? {
    guard let first = parts.first else { return nil }
    let kept = parts.count == 1 ? first.rows : parts.flatMap(\.rows)
    var places: [Int32] = []
    places.reserveCapacity(rows.count)
    var place = 0
    for row in rows {
      while place < kept.count, kept[place] < row { place += 1 }
      guard place < kept.count, kept[place] == row else { return nil }
      places.append(Int32(place))
    }
    var columns: [Column] = []
    for index in first.columns.indices {
      let column =
        parts.count == 1
        ? first.columns[index] : try Column.concatenate(parts.map { $0.columns[index] })
      columns.append(places.count == kept.count ? column : try column.take(places))
    }
    return columns
  }
}
