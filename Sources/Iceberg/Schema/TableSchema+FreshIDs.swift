/// Hands out field ids in the order in which Java does: all fields of a struct first, then what is
/// inside them, field by field.
struct FreshIDs {
  private(set) var last: Int32
  private(set) var newIDs: [Int32: Int32] = [:]
  /// A field with the full name of one in here gets that one's id.
  private let known: TableSchema?
  private var reused: Set<Int32> = []

  init(after last: Int32, reusing known: TableSchema? = nil) {
    self.last = last
    self.known = known
  }

  /// - Parameter prefix: what the full names of the fields begin with.
  mutating func assign(
    _ fields: [NestedField], prefix: String = ""
  ) throws(IcebergError) -> [NestedField] {
    var renumbered = fields
    for index in renumbered.indices {
      let id = try next(prefix + renumbered[index].name)
      newIDs[renumbered[index].id] = id
      renumbered[index].id = id
    }
    for index in renumbered.indices {
      renumbered[index].type = try assign(
        renumbered[index].type, prefix: prefix + renumbered[index].name + ".")
    }
    return renumbered
  }

  private mutating func next(_ name: String) throws(IcebergError) -> Int32 {
    // Two fields may have one full name: `a.b`, and `b` in `a`.
    if let id = known?.field(named: name)?.id, reused.insert(id).inserted { return id }
    guard last < TableSchema.highestUsableFieldID else {
      throw IcebergError(.invalidArgument, "no field id is left")
    }
    last += 1
    return last
  }

  private mutating func assign(
    _ type: IcebergType, prefix: String
  ) throws(IcebergError) -> IcebergType {
    switch type {
    case .structure(let fields): return .structure(try assign(fields, prefix: prefix))
    case .list(let element): return .list(element: try assign([element], prefix: prefix)[0])
    case .map(let key, let value):
      let both = try assign([key, value], prefix: prefix)
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
    try renumbered(FreshIDs(after: last))
  }

  /// The same fields for a table that has others: those that have the full name of a field of its current
  /// schema get its id, the others fresh ones.
  func withIDs(of metadata: TableMetadata) throws(IcebergError) -> TableSchema {
    try renumbered(FreshIDs(after: metadata.lastColumnID, reusing: metadata.currentSchema))
  }

  private func renumbered(_ fresh: FreshIDs) throws(IcebergError) -> TableSchema {
    var fresh = fresh
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
