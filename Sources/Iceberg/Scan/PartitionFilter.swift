/// Decides from partition values whether rows may match a filter on the columns they come from.
///
/// A condition on a column becomes a weaker one on the derived value: what matches the former always
/// matches the latter.
struct PartitionFilter {
  private let expression: BoundExpression
  private let spec: PartitionSpec
  private let types: [IcebergType?]

  /// - Parameter expression: bound to `schema` or a later one.
  init(_ expression: BoundExpression, spec: PartitionSpec, schema: TableSchema) {
    self.expression = expression
    self.spec = spec
    types = spec.partitionTypes(schema: schema)
  }

  /// Whether any file of a manifest may have matching rows.
  func mayMatch(_ manifest: ManifestFile) -> Bool {
    guard let partitions = manifest.partitions, partitions.count == spec.fields.count else {
      return true
    }
    return mayMatch { index, type in ValueSummary(partitions[index], type: type) }
  }

  /// Whether a file in a partition may have matching rows.
  func mayMatch(_ partition: [Literal?]) -> Bool {
    guard partition.count == spec.fields.count else { return true }
    return mayMatch { index, _ in ValueSummary(partition[index]) }
  }

  private func mayMatch(_ summary: (Int, IcebergType) -> ValueSummary) -> Bool {
    expression.mayMatch { predicate in
      for (index, field) in spec.fields.enumerated()
      where field.sourceID == predicate.field.id && field.additionalSourceIDs.isEmpty {
        guard let type = types[index] else { continue }
        let values = summary(index, type)
        guard mayMatch(predicate, field.transform, values) else { return false }
      }
      return true
    }
  }

  private func mayMatch(
    _ predicate: BoundPredicate, _ transform: Transform, _ values: ValueSummary
  ) -> Bool {
    switch transform {
    case .identity: return values.mayMatch(predicate.test)
    case .void, .unknown: return true
    default: break
    }
    switch predicate.test {
    // Every transform keeps null null, and nothing else becomes null.
    case .isNull: return values.mayHaveNull
    case .isNotNull: return values.mayHaveValue || values.mayHaveNaN
    case .compare(.equal, let value): return mayEqual(value, transform, values)
    case .isIn(let list): return list.contains { mayEqual($0, transform, values) }
    case .compare(let comparison, let value):
      guard transform.keepsOrder, let derived = transform.derived(value),
        !transform.hasWrapped(value, to: derived), !transform.mayHaveWrapped(values)
      else { return true }
      switch comparison {
      case .less, .lessOrEqual:
        return values.mayMatch(.compare(.lessOrEqual, transform.loosenedUpward(derived)))
      case .greater, .greaterOrEqual:
        return values.mayMatch(.compare(.greaterOrEqual, derived))
      case .equal, .notEqual: return true
      }
    case .startsWith(let prefix):
      guard case .truncate(let width) = transform else { return true }
      if prefix.unicodeScalars.count <= Int(width) { return values.mayMatch(.startsWith(prefix)) }
      return mayEqual(.string(prefix), transform, values)
    case .isNotIn, .isNaN, .isNotNaN, .startsNotWith: return true
    }
  }

  private func mayEqual(
    _ value: Literal, _ transform: Transform, _ values: ValueSummary
  ) -> Bool {
    guard let derived = transform.derived(value) else { return true }
    if values.mayMatch(.compare(.equal, derived)) { return true }
    let loosened = transform.loosenedUpward(derived)
    return loosened != derived && values.mayMatch(.compare(.equal, loosened))
  }
}

extension Transform {
  /// The derived value; nil when there is none, which only means that nothing is skipped.
  fileprivate func derived(_ value: Literal) -> Literal? {
    do { return try apply(value) } catch { return nil }
  }

  /// Whether derived values are in the order of their sources.
  fileprivate var keepsOrder: Bool {
    switch self {
    case .identity, .truncate, .year, .month, .day, .hour: true
    case .bucket, .void, .unknown: false
    }
  }

  /// Whether the value was so near its type's end that the derived one came out at the other end:
  /// truncation of the lowest integers, hours of times further than 245,000 years away.
  fileprivate func hasWrapped(_ value: Literal, to derived: Literal) -> Bool {
    switch (self, value, derived) {
    case (.truncate, _, _): value.precedes(derived)
    case (.hour, .timestamp(let time), .int(let hours)),
      (.hour, .timestamptz(let time), .int(let hours)):
      (time < 0) != (hours < 0)
    default: false
    }
  }

  /// Whether derived values may be among these that wrapped so, and are in no order with the rest.
  fileprivate func mayHaveWrapped(_ values: ValueSummary) -> Bool {
    // 2^32 hours are counted in 32 bits; what is near neither end has not wrapped.
    let farHours: Int32 = 1_700_000_000
    switch (self, values.lower, values.upper) {
    case (.truncate(let width), _, .int(let highest)):
      return highest > Int32.max - width + 1
    case (.truncate(let width), _, .long(let highest)):
      return highest > Int64.max - Int64(width) + 1
    case (.hour, .int(let lowest), .int(let highest)):
      return lowest < -farHours || highest > farHours
    default: return false
    }
  }

  /// Old Java writers rounded times before 1970 up instead of down, so such a partition value may be
  /// one too high.
  fileprivate func loosenedUpward(_ derived: Literal) -> Literal {
    switch (self, derived) {
    case (.year, .int(let value)), (.month, .int(let value)), (.hour, .int(let value)):
      value < 0 ? .int(value + 1) : derived
    case (.day, .date(let value)): value < 0 ? .date(value + 1) : derived
    case (.day, .int(let value)): value < 0 ? .int(value + 1) : derived
    default: derived
    }
  }
}
