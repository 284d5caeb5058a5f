internal import Columnar

/// Gathers columns batch by batch, in memory of its own: what a reader's batches hold beside it goes at once.
struct ColumnGatherer {
  private let types: [DataType]
  /// Columns as they came, and what became of them.
  private var pending: [[Column]]
  private var joined: [[Column]]
  private var pendingCount = 0
  private(set) var rowCount = 0

  private static let joinedRows = 1 << 20

  init(_ types: [DataType]) {
    self.types = types
    pending = Array(repeating: [], count: types.count)
    joined = pending
  }

  mutating func append(_ columns: [Column], rowCount count: Int) throws(ColumnSizeError) {
    for (index, column) in columns.enumerated() { pending[index].append(column) }
    rowCount += count
    pendingCount += count
    if pendingCount >= Self.joinedRows { try join() }
  }

  private mutating func join() throws(ColumnSizeError) {
    for index in types.indices where !pending[index].isEmpty {
      joined[index].append(try Column.concatenate(pending[index]))
      pending[index] = []
    }
    pendingCount = 0
  }

  /// The columns; what they were made of goes one by one.
  mutating func finish() throws(ColumnSizeError) -> [Column] {
    try join()
    var columns: [Column] = []
    for (index, type) in types.enumerated() {
      columns.append(
        joined[index].isEmpty ? .empty(type) : try Column.concatenate(joined[index]))
      joined[index] = []
    }
    return columns
  }
}
