internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import PointInTime
internal import Storage

/// A spine that nobody has to write down: the keys of feature groups at given moments, or each of their changes.
///
/// Held are each key once, and 16 bytes a change.
struct SpineKeys: SpineRows {
  let schema: Schema
  /// The distinct keys in ascending order.
  private let keys: [Column]
  /// Which key each row has, and when.
  private let content: Rows

  private enum Rows {
    /// For each moment the keys whose first event is not after it. `firstTimes` is in the order of the keys.
    case moments([Int64], firstTimes: [Int64])
    case changes([Change])
  }

  private struct Change: Comparable {
    var time: Int64
    var key: Int32

    static func < (left: Change, right: Change) -> Bool {
      left.time != right.time ? left.time < right.time : left.key < right.key
    }
  }

  /// Every key at every one of the moments.
  init(
    _ groups: [FeatureGroup], _ tables: TrainingSetTables, timeColumn: String,
    keysAt moments: [Int64]
  ) throws {
    guard let last = moments.max() else {
      throw FeatureStoreError(.invalidArgument, "all keys need a moment at least")
    }
    let codec = try Self.codec(groups)
    var found = KeyEvents(codec)
    for group in groups {
      let time = group.eventTimeName
      try found.read(group, tables, .comparison(time, .lessOrEqual, .timestamptz(last))) {
        events, id, time in
        if id == events.firstTimes.count {
          events.firstTimes.append(time)
        } else {
          events.firstTimes[id] = min(events.firstTimes[id], time)
        }
      }
    }
    let (keys, order) = try found.sortedKeys()
    var seen: Set<Int64> = []
    self.init(
      codec.identifiers, timeColumn, keys,
      .moments(
        moments.sorted().filter { seen.insert($0).inserted },
        firstTimes: order.map { found.firstTimes[$0] }))
  }

  /// Every change from one moment on, and before another.
  init(
    _ groups: [FeatureGroup], _ tables: TrainingSetTables, timeColumn: String,
    changesFrom start: Int64, to end: Int64
  ) throws {
    guard start < end else {
      throw FeatureStoreError(.invalidArgument, "the range of the changes ends before it begins")
    }
    let codec = try Self.codec(groups)
    var found = KeyEvents(codec)
    for group in groups {
      let time = group.eventTimeName
      try found.read(
        group, tables,
        .and([
          .comparison(time, .greaterOrEqual, .timestamptz(start)),
          .comparison(time, .less, .timestamptz(end)),
        ])
      ) { events, id, time in events.changes.append((Int32(id), time)) }
    }
    let (keys, order) = try found.sortedKeys()
    var ranks = [Int32](repeating: 0, count: order.count)
    for (rank, id) in order.enumerated() { ranks[id] = Int32(rank) }
    var changes = found.changes.map { Change(time: $0.time, key: ranks[Int($0.id)]) }
    found.changes = []
    changes.sort()
    var count = 0
    for index in changes.indices where index == 0 || changes[index] != changes[count - 1] {
      changes[count] = changes[index]
      count += 1
    }
    changes.removeLast(changes.count - count)
    self.init(codec.identifiers, timeColumn, keys, .changes(changes))
  }

  private init(
    _ identifiers: [Feature], _ timeColumn: String, _ keys: [Column], _ rows: Rows
  ) {
    self.keys = keys
    self.content = rows
    schema = Schema(
      identifiers.map { Field($0.name, $0.type.dataType) }
        + [Field(timeColumn, .timestamp(isUTC: true))])
  }

  /// Of the keys that the groups share.
  private static func codec(_ groups: [FeatureGroup]) throws -> KeyCodec {
    guard let first = groups.first else {
      throw FeatureStoreError(.invalidArgument, "no feature group to take the keys of")
    }
    func names(_ group: FeatureGroup) -> [String] {
      group.recordIdentifiers.map { "\($0.name):\($0.type)" }
    }
    for group in groups where names(group) != names(first) {
      throw FeatureStoreError(
        .invalidArgument,
        "the keys of '\(first.name)' (\(names(first).joined(separator: ", "))) and of "
          + "'\(group.name)' (\(names(group).joined(separator: ", "))) are not the same: say which "
          + "group's to take")
    }
    return KeyCodec(first)
  }

  func rows(_ wanted: Schema?) throws -> () throws -> RecordBatch? {
    var chooser = RowChooser(rows: content)
    return {
      guard let (ids, times) = chooser.next(TrainingSetRows.batchRows) else { return nil }
      var columns = try keys.map { try $0.take(ids) }
      columns.append(
        Column(
          type: .timestamp(isUTC: true), count: times.count, nullCount: 0,
          buffers: [Buffer(copying: times)]))
      let batch = RecordBatch(schema: schema, columns: columns, rowCount: ids.count)
      return try wanted.map { try batch.under($0, of: "the spine") } ?? batch
    }
  }

  /// Where in the rows one has come.
  private struct RowChooser {
    let rows: Rows
    private var moment = 0
    private var place = 0

    init(rows: Rows) { self.rows = rows }

    mutating func next(_ limit: Int) -> (ids: [Int32], times: [Int64])? {
      var ids: [Int32] = []
      var times: [Int64] = []
      switch rows {
      case .moments(let moments, let firstTimes):
        while ids.count < limit, moment < moments.count {
          guard place < firstTimes.count else {
            moment += 1
            place = 0
            continue
          }
          if firstTimes[place] <= moments[moment] {
            ids.append(Int32(place))
            times.append(moments[moment])
          }
          place += 1
        }
      case .changes(let changes):
        let end = min(place + limit, changes.count)
        for change in changes[place..<end] {
          ids.append(change.key)
          times.append(change.time)
        }
        place = end
      }
      return ids.isEmpty ? nil : (ids, times)
    }
  }
}

/// Distinct keys, and what was seen of them.
private struct KeyEvents {
  private let codec: KeyCodec
  private var keys = BytesTable()
  /// By the keys' numbers.
  var firstTimes: [Int64] = []
  var changes: [(id: Int32, time: Int64)] = []

  init(_ codec: KeyCodec) { self.codec = codec }

  /// Shows each record's key, by its number, and event time.
  mutating func read(
    _ group: FeatureGroup, _ tables: TrainingSetTables, _ filter: FilterExpression,
    _ body: (inout KeyEvents, Int, Int64) -> Void
  ) throws {
    let choice = try tables.choice(group)
    guard let version = choice.version else { return }
    var scan = choice.table.newScan()
    scan.version = version
    scan.filter = filter
    scan.columns = group.recordIdentifiers.map(\.name) + [group.eventTimeName]
    let batches = try scan.batches()
    while let batch = try batches.next() {
      let encoded = codec.encode(batch.columns.dropLast(), rowCount: batch.rowCount)
      let timeColumn = batch.columns[batch.columns.count - 1]
      let times = timeColumn.values(as: Int64.self)
      for row in 0..<batch.rowCount {
        let id = Int(keys.intern(encoded[row]))
        guard id < Int(Int32.max) else {
          throw FeatureStoreError(.invalidInput, "a spine of more than \(Int32.max) keys")
        }
        body(&self, id, times[row])
      }
    }
  }

  /// The keys' columns in ascending order, and which number each place had.
  mutating func sortedKeys() throws -> (columns: [Column], order: [Int]) {
    var encoded = EncodedRows()
    for id in 0..<keys.count { encoded.append(keys.value(Int32(id))) }
    keys = BytesTable()
    let columns = try codec.decode(encoded)
    let order = columns.ascendingRows(count: encoded.count)
    return (try columns.map { try $0.take(order) }, order)
  }
}

extension [Column] {
  /// The rows in ascending order of these columns, which are of key types and without nulls.
  fileprivate func ascendingRows(count: Int) -> [Int] {
    let orders = map(KeyOrder.init)
    return (0..<count).sorted { left, right in
      for order in orders {
        let difference = order.compare(left, right)
        if difference != 0 { return difference < 0 }
      }
      return left < right
    }
  }
}

/// How the values of one column compare.
private struct KeyOrder {
  private var words: [Int64] = []
  private let column: Column

  init(_ column: Column) {
    self.column = column
    switch column.type {
    case .boolean: words = (0..<column.count).map { column.boolean(at: $0) ? 1 : 0 }
    case .int32, .date:
      let values = column.values(as: Int32.self)
      words = values.indices.map { Int64(values[$0]) }
    case .int64, .timestamp:
      let values = column.values(as: Int64.self)
      words = values.indices.map { values[$0] }
    default: break
    }
  }

  func compare(_ left: Int, _ right: Int) -> Int {
    if !words.isEmpty {
      return words[left] == words[right] ? 0 : words[left] < words[right] ? -1 : 1
    }
    let first = column.bytes(at: left)
    let second = column.bytes(at: right)
    let count = min(first.byteCount, second.byteCount)
    for index in 0..<count {
      let a = first.loadLittleEndian(UInt8.self, at: index)
      let b = second.loadLittleEndian(UInt8.self, at: index)
      if a != b { return a < b ? -1 : 1 }
    }
    return first.byteCount - second.byteCount
  }
}
