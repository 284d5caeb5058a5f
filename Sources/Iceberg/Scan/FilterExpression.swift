/// A condition on rows, in the three-valued logic of SQL: a comparison with null is unknown, and a
/// row is taken only when the whole is true.
///
/// NaN equals itself and is greater than all other numbers; -0.0 equals 0.0. Columns are named by
/// full name (`a`, `a.b`).
public indirect enum FilterExpression: Hashable, Sendable {
  public enum Comparison: Hashable, Sendable {
    case less
    case lessOrEqual
    case equal
    case notEqual
    case greaterOrEqual
    case greater
  }

  case alwaysTrue
  case alwaysFalse
  case comparison(String, Comparison, Literal)
  case isIn(String, [Literal])
  case isNull(String)
  case isNaN(String)
  /// The UTF-8 bytes of a text start with those of the prefix.
  case startsWith(String, String)
  case not(FilterExpression)
  case and([FilterExpression])
  case or([FilterExpression])

  public static func notNull(_ column: String) -> FilterExpression { .not(.isNull(column)) }
}

/// An expression with its columns found in a schema, its values in the columns' types, and every
/// `not` moved down to a single condition.
indirect enum BoundExpression: Hashable, Sendable {
  case constant(Bool)
  case predicate(BoundPredicate)
  case and([BoundExpression])
  case or([BoundExpression])

  /// - Throws: `invalidArgument` for an unknown column, or a value that no value of the column can
  ///   be compared with.
  init(_ expression: FilterExpression, schema: TableSchema) throws(IcebergError) {
    self = try BoundExpression.bind(expression, schema, isNegated: false, depth: 0)
  }

  private static func bind(
    _ expression: FilterExpression, _ schema: TableSchema, isNegated: Bool, depth: Int
  ) throws(IcebergError) -> BoundExpression {
    guard depth < 200 else {
      throw IcebergError(.invalidArgument, "a filter is nested deeper than 200 levels")
    }
    func all(_ operands: [FilterExpression]) throws(IcebergError) -> [BoundExpression] {
      var bound: [BoundExpression] = []
      for operand in operands {
        bound.append(try bind(operand, schema, isNegated: isNegated, depth: depth + 1))
      }
      return bound
    }
    switch expression {
    case .alwaysTrue: return .constant(!isNegated)
    case .alwaysFalse: return .constant(isNegated)
    case .not(let inner):
      return try bind(inner, schema, isNegated: !isNegated, depth: depth + 1)
    case .and(let operands): return isNegated ? .or(try all(operands)) : .and(try all(operands))
    case .or(let operands): return isNegated ? .and(try all(operands)) : .or(try all(operands))
    case .comparison(let column, let comparison, let value):
      let field = try field(column, schema)
      return try FilterValue(value, field)
        .compared(isNegated ? comparison.negated : comparison, with: field)
    case .isIn(let column, let values):
      let field = try field(column, schema)
      var fitting: [Literal] = []
      // What no value of the column can be is in no row.
      for value in values {
        if case .value(let value) = try FilterValue(value, field) { fitting.append(value) }
      }
      fitting.sort { $0.order($1) < 0 }
      return .predicate(BoundPredicate(field, isNegated ? .isNotIn(fitting) : .isIn(fitting)))
    case .isNull(let column):
      return .predicate(
        BoundPredicate(try field(column, schema), isNegated ? .isNotNull : .isNull))
    case .isNaN(let column):
      let field = try field(column, schema)
      guard field.type == .float || field.type == .double else {
        throw IcebergError(.invalidArgument, "'\(column)' of type \(field.type) is never NaN")
      }
      return .predicate(BoundPredicate(field, isNegated ? .isNotNaN : .isNaN))
    case .startsWith(let column, let prefix):
      let field = try field(column, schema)
      guard field.type == .string else {
        throw IcebergError(.invalidArgument, "'\(column)' of type \(field.type) has no prefix")
      }
      return .predicate(
        BoundPredicate(field, isNegated ? .startsNotWith(prefix) : .startsWith(prefix)))
    }
  }

  private static func field(
    _ column: String, _ schema: TableSchema
  ) throws(IcebergError) -> NestedField {
    guard let field = schema.field(named: column) else {
      throw IcebergError(.invalidArgument, "there is no column '\(column)'")
    }
    return field
  }

  /// The field ids that the expression looks at.
  var fieldIDs: Set<Int32> {
    switch self {
    case .constant: []
    case .predicate(let predicate): [predicate.field.id]
    case .and(let operands), .or(let operands):
      operands.reduce(into: []) { $0.formUnion($1.fieldIDs) }
    }
  }

  /// Whether a row may match, given what is known of each column; true when in doubt.
  func mayMatch(_ summary: (BoundPredicate) -> Bool) -> Bool {
    switch self {
    case .constant(let value): value
    case .predicate(let predicate): summary(predicate)
    case .and(let operands): operands.allSatisfy { $0.mayMatch(summary) }
    case .or(let operands): operands.contains { $0.mayMatch(summary) }
    }
  }
}

/// One condition on one column.
struct BoundPredicate: Hashable, Sendable {
  enum Test: Hashable, Sendable {
    case compare(FilterExpression.Comparison, Literal)
    /// In ascending order, as the next.
    case isIn([Literal])
    case isNotIn([Literal])
    case isNull
    case isNotNull
    case isNaN
    case isNotNaN
    case startsWith(String)
    case startsNotWith(String)
  }

  var field: NestedField
  var test: Test

  init(_ field: NestedField, _ test: Test) {
    self.field = field
    self.test = test
  }
}

extension FilterExpression.Comparison {
  /// The comparison that is true where this one is false.
  var negated: FilterExpression.Comparison {
    switch self {
    case .less: .greaterOrEqual
    case .lessOrEqual: .greater
    case .equal: .notEqual
    case .notEqual: .equal
    case .greaterOrEqual: .less
    case .greater: .lessOrEqual
    }
  }

  /// Whether it holds when the left side precedes, equals or follows the right one (-1, 0, 1).
  func holds(_ order: Int) -> Bool {
    switch self {
    case .less: order < 0
    case .lessOrEqual: order <= 0
    case .equal: order == 0
    case .notEqual: order != 0
    case .greaterOrEqual: order >= 0
    case .greater: order > 0
    }
  }
}

extension Literal {
  /// 0.0 for -0.0: they are equal to whoever filters, though bounds tell them apart.
  var withPositiveZero: Literal {
    switch self {
    case .float(let value): value == 0 ? .float(0) : self
    case .double(let value): value == 0 ? .double(0) : self
    default: self
    }
  }

  /// Which of two values of one type comes first (-1, 0, 1), by the order of filters.
  func order(_ other: Literal) -> Int {
    let left = withPositiveZero
    let right = other.withPositiveZero
    if left.isNaN || right.isNaN { return (left.isNaN ? 1 : 0) - (right.isNaN ? 1 : 0) }
    return left.precedes(right) ? -1 : right.precedes(left) ? 1 : 0
  }
}
