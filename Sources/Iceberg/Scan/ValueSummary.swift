import Storage

/// What is known of the values of one column in a file, a manifest or a partition. Every default
/// means "unknown"; what is unknown is never skipped.
struct ValueSummary {
  var mayHaveNull = true
  /// Whether there may be values that are neither null nor NaN.
  var mayHaveValue = true
  var mayHaveNaN = true
  /// No value is below, NaN aside.
  var lower: Literal?
  /// No value is above, NaN aside.
  var upper: Literal?
}

extension ValueSummary {
  /// A column of a data file, by the file's counts and bounds.
  init(_ file: DataFile, _ field: NestedField) {
    let isFloating = field.type == .float || field.type == .double
    let nulls = file.nullValueCounts[field.id]
    let values = file.valueCounts[field.id]
    let nans = isFloating ? file.nanValueCounts[field.id] : 0
    mayHaveNull = nulls != 0
    mayHaveNaN = nans != 0
    if let values, let nulls, values >= 0, nulls >= 0 {
      mayHaveValue = values > nulls
      if let nans, values - nulls <= nans { mayHaveValue = false }
      if values == nulls { mayHaveNaN = false }
    }
    lower = file.lowerBound(of: field)
    upper = file.upperBound(of: field)
  }

  /// A partition field over all files of a manifest.
  init(_ summary: PartitionFieldSummary, type: IcebergType) {
    mayHaveNull = summary.containsNull
    let isFloating = type == .float || type == .double
    mayHaveNaN = isFloating && summary.containsNaN != false
    lower = ValueSummary.bound(summary.lowerBound, type)
    upper = ValueSummary.bound(summary.upperBound, type)
  }

  /// A single partition value.
  init(_ value: Literal?) {
    mayHaveNull = value == nil
    mayHaveNaN = value?.isNaN ?? false
    mayHaveValue = value.map { !$0.isNaN } ?? false
    lower = mayHaveValue ? value : nil
    upper = lower
  }

  private static func bound(_ bytes: [UInt8]?, _ type: IcebergType) -> Literal? {
    guard let bytes else { return nil }
    do {
      let value = try Literal(boundBytes: bytes, type: type)
      return value.isNaN ? nil : value
    } catch { return nil }
  }

  /// Whether a value may pass the test.
  func mayMatch(_ test: BoundPredicate.Test) -> Bool {
    switch test {
    case .isNull: return mayHaveNull
    case .isNotNull: return mayHaveValue || mayHaveNaN
    case .isNaN: return mayHaveNaN
    case .isNotNaN: return mayHaveValue
    case .compare(let comparison, let value): return mayMatch(comparison, value)
    case .isIn(let values): return mayEqualOne(of: values)
    case .isNotIn(let values):
      guard mayHaveValue, !mayHaveNaN, let lower, let upper, lower.order(upper) == 0 else {
        return mayHaveValue || mayHaveNaN
      }
      return !values.contains { $0.order(lower) == 0 }
    case .startsWith(let prefix): return mayHaveValue && mayStart(with: prefix)
    case .startsNotWith(let prefix):
      guard case .string(let lower) = lower, case .string(let upper) = upper else {
        return mayHaveValue
      }
      // All texts between two that have the prefix have it, too.
      let all = lower.utf8.starts(with: prefix.utf8) && upper.utf8.starts(with: prefix.utf8)
      return mayHaveValue && !all
    }
  }

  private func mayMatch(_ comparison: FilterExpression.Comparison, _ value: Literal) -> Bool {
    // NaN is above all values.
    if mayHaveNaN, comparison.holds(value.isNaN ? 0 : 1) { return true }
    guard mayHaveValue else { return false }
    if value.isNaN { return comparison.holds(-1) }
    let lowest = lower.map { $0.order(value) } ?? -1
    let highest = upper.map { $0.order(value) } ?? 1
    switch comparison {
    case .less: return lowest < 0
    case .lessOrEqual: return lowest <= 0
    case .equal: return lowest <= 0 && highest >= 0
    case .notEqual: return !(lower != nil && upper != nil && lowest == 0 && highest == 0)
    case .greaterOrEqual: return highest >= 0
    case .greater: return highest > 0
    }
  }

  /// - Parameter values: ascending, NaN last.
  private func mayEqualOne(of values: [Literal]) -> Bool {
    guard let last = values.last else { return false }
    if last.isNaN, mayMatch(.equal, last) { return true }
    guard let lower else { return values.contains { mayMatch(.equal, $0) } }
    // The least that is not below all values: if that one is above them, so are the others.
    let least = values.partitionPoint { $0.order(lower) < 0 }
    return least < values.count && mayMatch(.equal, values[least])
  }

  private func mayStart(with prefix: String) -> Bool {
    let text = Literal.string(prefix)
    if let upper, upper.precedes(text) { return false }
    if let lower, text.precedes(lower), case .string(let lower) = lower {
      return lower.utf8.starts(with: prefix.utf8)
    }
    return true
  }
}
