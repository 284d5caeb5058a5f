import Columnar

/// Finds the rows of a batch for which a filter is true.
///
/// Columns of integers and floating-point numbers are compared in plain loops; other types value by
/// value.
struct RowFilter {
  /// A condition's answer for each row.
  private typealias Answers = [UInt8]
  private static let isFalse: UInt8 = 0
  private static let isTrue: UInt8 = 1
  private static let isUnknown: UInt8 = 2

  let expression: BoundExpression

  /// Whether each row matches.
  ///
  /// - Precondition: the batch has the columns that the filter looks at, found by field id.
  func matches(_ batch: RecordBatch) -> [Bool] {
    evaluate(expression, batch).map { $0 == RowFilter.isTrue }
  }

  private func evaluate(_ expression: BoundExpression, _ batch: RecordBatch) -> Answers {
    switch expression {
    case .constant(let value):
      return Answers(repeating: value ? RowFilter.isTrue : RowFilter.isFalse, count: batch.rowCount)
    case .predicate(let predicate):
      guard let column = batch.column(ofFieldID: predicate.field.id) else {
        return Answers(repeating: RowFilter.isUnknown, count: batch.rowCount)
      }
      return evaluate(predicate, column)
    case .and(let operands):
      return combine(operands, batch, deciding: RowFilter.isFalse, otherwise: RowFilter.isTrue)
    case .or(let operands):
      return combine(operands, batch, deciding: RowFilter.isTrue, otherwise: RowFilter.isFalse)
    }
  }

  /// `deciding` from any operand decides; else one unknown makes the whole unknown.
  private func combine(
    _ operands: [BoundExpression], _ batch: RecordBatch, deciding: UInt8, otherwise: UInt8
  ) -> Answers {
    var result = Answers(repeating: otherwise, count: batch.rowCount)
    for operand in operands {
      let answers = evaluate(operand, batch)
      for row in result.indices where result[row] != deciding {
        if answers[row] == deciding || answers[row] == RowFilter.isUnknown {
          result[row] = answers[row]
        }
      }
    }
    return result
  }

  private func evaluate(_ predicate: BoundPredicate, _ column: Column) -> Answers {
    switch predicate.test {
    case .isNull: return answers(column, ifNull: RowFilter.isTrue) { _ in false }
    case .isNotNull: return answers(column, ifNull: RowFilter.isFalse) { _ in true }
    case .isNaN: return answers(column) { isNaN(column, $0) }
    case .isNotNaN: return answers(column) { !isNaN(column, $0) }
    case .startsWith(let prefix):
      return answers(column) { column.string(at: $0).utf8.starts(with: prefix.utf8) }
    case .startsNotWith(let prefix):
      return answers(column) { !column.string(at: $0).utf8.starts(with: prefix.utf8) }
    case .compare(let comparison, let value):
      return compare(column, predicate.field.type, value) { comparison.holds($0) }
    case .isIn(let values): return contains(column, predicate.field.type, values, wanted: true)
    case .isNotIn(let values): return contains(column, predicate.field.type, values, wanted: false)
    }
  }

  private func answers(
    _ column: Column, ifNull: UInt8 = RowFilter.isUnknown, _ test: (Int) -> Bool
  ) -> Answers {
    (0..<column.count).map { row in
      column.isNull(row) ? ifNull : test(row) ? RowFilter.isTrue : RowFilter.isFalse
    }
  }

  private func isNaN(_ column: Column, _ row: Int) -> Bool {
    column.type == .float32
      ? column.values(as: Float.self)[row].isNaN : column.values(as: Double.self)[row].isNaN
  }

  private func compare(
    _ column: Column, _ type: IcebergType, _ value: Literal, _ holds: (Int) -> Bool
  ) -> Answers {
    // The three possible outcomes, so that the loops below call no closure.
    let outcome = [holds(-1), holds(0), holds(1)].map {
      $0 ? RowFilter.isTrue : RowFilter.isFalse
    }
    func loop<Value: Comparable & BitwiseCopyable>(_ value: Value) -> Answers {
      let values = column.values(as: Value.self)
      var result = Answers(repeating: RowFilter.isUnknown, count: column.count)
      for row in 0..<column.count where !column.isNull(row) {
        let other = values[row]
        result[row] = outcome[other < value ? 0 : other == value ? 1 : 2]
      }
      return result
    }
    switch value {
    case .int(let value), .date(let value): return loop(value)
    case .long(let value), .time(let value), .timestamp(let value), .timestamptz(let value),
      .timestampNs(let value), .timestamptzNs(let value):
      return loop(value)
    case .double(let value) where !value.isNaN: return loop(value)
    case .float(let value) where !value.isNaN: return loop(value)
    default:
      return answers(column) { row in
        guard let other = column.literal(at: row, type: type) else { return false }
        return holds(other.order(value))
      }
    }
  }

  private func contains(
    _ column: Column, _ type: IcebergType, _ values: [Literal], wanted: Bool
  ) -> Answers {
    let set = Set(values.map(\.withPositiveZero))
    return answers(column) { row in
      guard let value = column.literal(at: row, type: type) else { return false }
      return set.contains(value.withPositiveZero) == wanted
    }
  }
}
