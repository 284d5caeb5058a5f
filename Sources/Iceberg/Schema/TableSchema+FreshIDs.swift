/// Hands out field ids in the order in which Java does: all fields of a struct first, then what is
/// inside them, field by field.
struct FreshIDs {
  private(set) var last: Int32
  private(set) var newIDs: [Int32: Int32] = [:]

  init(after last: Int32) { self.last = last }

  mutating func assign(_ fields: [NestedField]) throws(IcebergError) -> [NestedField] {
    var renumbered = fields
    for index in renumbered.indices {
      guard last < TableSchema.highestUsableFieldID else {
        throw IcebergError(.invalidArgument, "no field id is left")
      }
      last += 1
      newIDs[renumbered[index].id] = last
      renumbered[index].id = last
    }
    for index in renumbered.indices {
      renumbered[index].type = try assign(renumbered[index].type)
    }
    return renumbered
  }

  private mutating func assign(_ type: IcebergType) throws(IcebergError) -> IcebergType {
    switch type {
    case .structure(let fields): return .structure(try assign(fields))
    case .list(let element): return .list(element: try assign([element])[0])
    case .map(let key, let value):
      let both = try assign([key, value])
      return .map(key: both[0], value: both[1])
    default: return type
    }
  }
}

extension TableSchema {
  /// Ids above this are reserved for metadata columns such as `_file` and `_pos`.
  public static let highestUsableFieldID: Int32 = 2_147_483_447

  /// The same fields with ids from `last + 1`, as a new table gets them.
  ///
  /// Ids in `self` must be distinct for identifier fields to be carried over.
  public func withFreshIDs(after last: Int32 = 0) throws(IcebergError) -> TableSchema {
    var fresh = FreshIDs(after: last)
    let renumbered = try fresh.assign(fields)
    return TableSchema(
      schemaID: schemaID, fields: renumbered,
      identifierFieldIDs: identifierFieldIDs.compactMap { fresh.newIDs[$0] })
  }

  /// One field, and all inside it, with ids from `last + 1`: for adding a column.
  public static func withFreshIDs(
    _ field: NestedField, after last: Int32
  ) throws(IcebergError) -> NestedField {
    var fresh = FreshIDs(after: last)
    return try fresh.assign([field])[0]
  }
}
