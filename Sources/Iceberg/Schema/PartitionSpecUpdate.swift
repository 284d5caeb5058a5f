/// Changes of the default partition spec. Files stay where they are, under the spec that they were
/// written with; new ones follow the new spec.
public struct PartitionSpecUpdate: Sendable {
  private enum Step: Sendable {
    case add(String, Transform, name: String?)
    case remove(String)
    case rename(String, to: String)
  }

  private var steps: [Step] = []

  public init() {}

  /// Partitions by one more derived value.
  ///
  /// - Parameters:
  ///   - column: the full name of its source.
  ///   - name: nil gives Java's default, such as `ts_day`.
  public mutating func add(_ column: String, _ transform: Transform, name: String? = nil) {
    steps.append(.add(column, transform, name: name))
  }

  /// - Parameter name: of the partition field.
  public mutating func remove(_ name: String) { steps.append(.remove(name)) }

  public mutating func rename(_ name: String, to newName: String) {
    steps.append(.rename(name, to: newName))
  }

  /// The spec after all steps. A field that was there before gets its id again.
  public func apply(to metadata: TableMetadata) throws(IcebergError) -> PartitionSpec {
    var fields = metadata.defaultPartitionSpec.fields
    var last = metadata.lastPartitionID
    for step in steps {
      switch step {
      case .add(let column, let transform, let name):
        let field = try added(column, transform, name, metadata, next: &last)
        try PartitionSpecUpdate.check(field, beside: fields)
        fields.append(field)
      case .remove(let name): fields.remove(at: try PartitionSpecUpdate.index(name, fields))
      case .rename(let name, let newName):
        let index = try PartitionSpecUpdate.index(name, fields)
        guard !fields.contains(where: { $0.name == newName }) else {
          throw IcebergError(.alreadyExists, "there already is a partition field '\(newName)'")
        }
        fields[index].name = newName
      }
    }
    let spec = PartitionSpec(fields: fields)
    try spec.validate(schema: metadata.currentSchema)
    for field in fields { try checkName(field, metadata.currentSchema) }
    return spec
  }

  private func added(
    _ column: String, _ transform: Transform, _ name: String?, _ metadata: TableMetadata,
    next last: inout Int32
  ) throws(IcebergError) -> PartitionField {
    guard let source = metadata.currentSchema.field(named: column) else {
      throw IcebergError(.invalidArgument, "there is no column '\(column)'")
    }
    switch transform {
    case .unknown(let text):
      throw IcebergError(.unsupported, "cannot partition by the unknown transform '\(text)'")
    case .void: throw IcebergError(.invalidArgument, "a partition field cannot be void")
    default: break
    }
    for spec in metadata.partitionSpecs {
      for field in spec.fields
      where field.sourceID == source.id && field.transform == transform
        && field.additionalSourceIDs.isEmpty && (name == nil || name == field.name)
      {
        return field
      }
    }
    let (id, overflow) = last.addingReportingOverflow(1)
    guard !overflow else { throw IcebergError(.invalidArgument, "no partition field id is left") }
    last = id
    return PartitionField(
      sourceID: source.id, fieldID: id,
      name: name ?? transform.defaultFieldName(source: source.name), transform: transform)
  }

  private static func check(
    _ field: PartitionField, beside others: [PartitionField]
  ) throws(IcebergError) {
    for other in others where other.sourceID == field.sourceID {
      // Hours say which day it is.
      guard other.transform != field.transform, !(other.transform.isTime && field.transform.isTime)
      else {
        throw IcebergError(
          .invalidArgument, "'\(field.name)' says nothing that '\(other.name)' does not say")
      }
    }
    guard !others.contains(where: { $0.name == field.name }) else {
      throw IcebergError(.alreadyExists, "there already is a partition field '\(field.name)'")
    }
  }

  /// A partition field may have a column's name only when it is that column.
  private func checkName(_ field: PartitionField, _ schema: TableSchema) throws(IcebergError) {
    guard let column = schema.field(named: field.name) else { return }
    guard field.transform == .identity, column.id == field.sourceID else {
      throw IcebergError(
        .invalidArgument, "the partition field '\(field.name)' has the name of a column")
    }
  }

  private static func index(
    _ name: String, _ fields: [PartitionField]
  ) throws(IcebergError) -> Int {
    guard let index = fields.firstIndex(where: { $0.name == name }) else {
      throw IcebergError(.invalidArgument, "there is no partition field '\(name)'")
    }
    return index
  }
}

extension Transform {
  fileprivate var isTime: Bool {
    switch self {
    case .year, .month, .day, .hour: true
    default: false
    }
  }
}
