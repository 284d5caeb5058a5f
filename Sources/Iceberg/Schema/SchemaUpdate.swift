import JSON

/// Changes of a schema, in steps; each step sees what the ones before it did.
///
/// Columns are named by full name (`a`, `a.b`, `list.element.c`, `map.value.d`). Data files stay as
/// they are: columns keep their ids, and ids are never used again.
public struct SchemaUpdate: Sendable {
  /// Where a column goes among its siblings.
  public enum Position: Hashable, Sendable {
    case first
    case before(String)
    case after(String)
  }

  enum Step: Sendable {
    case add(NestedField, parent: String?)
    case drop(String)
    case rename(String, to: String)
    case promote(String, to: IcebergType)
    case makeOptional(String)
    case document(String, String?)
    case setWriteDefault(String, JSONValue?)
    case move(String, Position)
    case setIdentifiers([String])
  }

  private var steps: [Step] = []

  public init() {}

  /// Adds a column behind its siblings. Its ids are assigned when the change is committed.
  ///
  /// A required column, or one with a default, needs format version 3: rows that are there must have
  /// a value. Its initial default becomes the write default too, unless it has one.
  ///
  /// - Parameter parent: the struct, list or map (then its element or value) to add to.
  public mutating func add(_ field: NestedField, to parent: String? = nil) {
    steps.append(.add(field, parent: parent))
  }

  public mutating func drop(_ column: String) { steps.append(.drop(column)) }

  /// - Parameter name: the new name, without those of the structs around it.
  public mutating func rename(_ column: String, to name: String) {
    steps.append(.rename(column, to: name))
  }

  /// Widens a column's type: int to long, float to double, a decimal to more digits, and in format
  /// version 3 a date to a timestamp.
  public mutating func promote(_ column: String, to type: IcebergType) {
    steps.append(.promote(column, to: type))
  }

  public mutating func makeOptional(_ column: String) { steps.append(.makeOptional(column)) }

  public mutating func setDocumentation(_ column: String, _ text: String?) {
    steps.append(.document(column, text))
  }

  /// What writers store when no value is given (format version 3); nil for null.
  public mutating func setWriteDefault(_ column: String, _ value: Literal?) {
    steps.append(.setWriteDefault(column, value?.json))
  }

  public mutating func move(_ column: String, _ position: Position) {
    steps.append(.move(column, position))
  }

  /// The columns that together identify a row; none for none.
  public mutating func setIdentifierColumns(_ columns: [String]) {
    steps.append(.setIdentifiers(columns))
  }

  /// The schema after all steps, and the highest column id that was ever used.
  public func apply(
    to metadata: TableMetadata
  ) throws(IcebergError) -> (schema: TableSchema, lastColumnID: Int32) {
    var editor = SchemaEditor(metadata)
    for step in steps { try editor.apply(step) }
    let schema = editor.schema
    try schema.validate()
    try SchemaUpdate.checkReferences(to: schema, metadata)
    return (schema, editor.lastColumnID)
  }

  /// The default partition spec and sort order must go on to find their columns.
  private static func checkReferences(
    to schema: TableSchema, _ metadata: TableMetadata
  ) throws(IcebergError) {
    for field in metadata.defaultPartitionSpec.fields where field.transform != .void {
      guard schema.field(id: field.sourceID) != nil else {
        throw IcebergError(
          .invalidArgument,
          "a column that the table is partitioned by ('\(field.name)') cannot be dropped:"
            + " change the partition spec first")
      }
    }
    for field in metadata.defaultSortOrder.fields where schema.field(id: field.sourceID) == nil {
      throw IcebergError(
        .invalidArgument,
        "column \(field.sourceID), by which the table is sorted, cannot be dropped: change the sort"
          + " order first")
    }
  }
}

/// A schema in the middle of its changes.
private struct SchemaEditor {
  private let metadata: TableMetadata
  private(set) var schema: TableSchema
  private(set) var lastColumnID: Int32

  init(_ metadata: TableMetadata) {
    self.metadata = metadata
    schema = metadata.currentSchema
    lastColumnID = metadata.lastColumnID
  }

  mutating func apply(_ step: SchemaUpdate.Step) throws(IcebergError) {
    switch step {
    case .add(let field, let parent): try add(field, parent)
    case .drop(let name):
      let field = try member(name)
      guard !schema.identifierFieldIDs.contains(where: { isInside($0, field.id) }) else {
        throw refuse("'\(name)' identifies rows and cannot be dropped")
      }
      replace(field.id) { _ in nil }
    case .rename(let name, let newName):
      let field = try member(name)
      try requireFree(newName, besides: field.id)
      replace(field.id) { $0.named(newName) }
    case .promote(let name, let type): try promote(name, type)
    case .makeOptional(let name):
      let field = try self.field(name)
      try refuseMapKey(field, name)
      guard !schema.identifierFieldIDs.contains(where: { isInside($0, field.id) }) else {
        throw refuse("'\(name)' identifies rows and cannot be optional")
      }
      replace(field.id) { field in
        var field = field
        field.isRequired = false
        return field
      }
    case .document(let name, let text):
      replace(try member(name).id) { field in
        var field = field
        field.doc = text
        return field
      }
    case .setWriteDefault(let name, let value):
      let field = try member(name)
      try requireVersion3(field.name)
      if let value { _ = try Literal(json: value, type: field.type) }
      replace(field.id) { field in
        var field = field
        field.writeDefault = value
        return field
      }
    case .move(let name, let position): try move(name, position)
    case .setIdentifiers(let names):
      var ids: [Int32] = []
      for name in names { ids.append(try field(name).id) }
      schema = TableSchema(fields: schema.fields, identifierFieldIDs: ids)
      try schema.validate()
    }
  }

  // Steps.

  private mutating func add(_ field: NestedField, _ parent: String?) throws(IcebergError) {
    var holder: NestedField?
    if let parent { holder = try structure(parent) }
    guard !field.name.isEmpty else { throw refuse("a column needs a name") }
    guard !(holder?.type.children ?? schema.fields).contains(where: { $0.name == field.name })
    else {
      throw IcebergError(
        .alreadyExists, "there already is a column '\(parent.map { $0 + "." } ?? "")\(field.name)'")
    }
    var fresh = try TableSchema.withFreshIDs(field, after: lastColumnID)
    if fresh.isRequired, fresh.initialDefault == nil {
      throw refuse("'\(field.name)' must be optional or have a default: there are rows without it")
    }
    if fresh.initialDefault != nil {
      try requireVersion3(field.name)
      if fresh.type.isPrimitive { _ = try fresh.initialLiteral() }
      if fresh.writeDefault == nil { fresh.writeDefault = fresh.initialDefault }
    }
    if let holder {
      let added = fresh
      replace(holder.id) { $0.withChildren($0.type.children + [added]) }
    } else {
      setFields(schema.fields + [fresh])
    }
    lastColumnID = max(lastColumnID, schema.highestFieldID)
  }

  private mutating func promote(_ name: String, _ type: IcebergType) throws(IcebergError) {
    let field = try field(name)
    try refuseMapKey(field, name)
    guard field.type != type else { return }
    guard field.type.isPrimitive, field.type.canPromote(to: type) else {
      throw refuse("'\(name)' of type \(field.type) cannot become \(type)")
    }
    if field.type == .date {
      try requireVersion3(name)
      for spec in metadata.partitionSpecs {
        for partition in spec.fields where partition.sourceID == field.id {
          switch partition.transform {
          case .year, .month, .day, .void: continue
          default:
            throw refuse(
              "'\(name)' cannot become \(type): the values of the partition field"
                + " '\(partition.name)' would be others")
          }
        }
      }
    }
    replace(field.id) { field in
      var field = field
      field.type = type
      return field
    }
  }

  private mutating func move(
    _ name: String, _ position: SchemaUpdate.Position
  ) throws(IcebergError) {
    let field = try member(name)
    let parent = schema.parent(ofID: field.id)
    var siblings = parent?.type.children ?? schema.fields
    siblings.removeAll { $0.id == field.id }
    switch position {
    case .first: siblings.insert(field, at: 0)
    case .before(let other): siblings.insert(field, at: try index(other, siblings))
    case .after(let other): siblings.insert(field, at: try index(other, siblings) + 1)
    }
    if let parent {
      let moved = siblings
      replace(parent.id) { $0.withChildren(moved) }
    } else {
      setFields(siblings)
    }
  }

  private func index(_ name: String, _ siblings: [NestedField]) throws(IcebergError) -> Int {
    let field = try field(name)
    guard let index = siblings.firstIndex(where: { $0.id == field.id }) else {
      throw refuse("a column can only be moved among those next to it, not to '\(name)'")
    }
    return index
  }

  // Finding and replacing.

  private func field(_ name: String) throws(IcebergError) -> NestedField {
    guard let field = schema.field(named: name) else {
      throw IcebergError(.invalidArgument, "there is no column '\(name)'")
    }
    return field
  }

  /// A field of a struct or of the table: those of lists and maps are what the type says.
  private func member(_ name: String) throws(IcebergError) -> NestedField {
    let field = try field(name)
    switch schema.parent(ofID: field.id)?.type {
    case .list, .map: throw refuse("'\(name)' is part of a list or a map")
    default: return field
    }
  }

  /// The struct that a name means: itself, or what is in the list or map of that name.
  private func structure(_ name: String) throws(IcebergError) -> NestedField {
    let field = try field(name)
    switch field.type {
    case .structure: return field
    case .list(let element): if case .structure = element.type { return element }
    case .map(_, let value): if case .structure = value.type { return value }
    default: break
    }
    throw refuse("'\(name)' of type \(field.type) has no columns")
  }

  private func refuseMapKey(_ field: NestedField, _ name: String) throws(IcebergError) {
    var current = field
    while let parent = schema.parent(ofID: current.id) {
      if case .map(let key, _) = parent.type, key.id == current.id {
        throw refuse("'\(name)' is the key of a map and cannot change")
      }
      current = parent
    }
  }

  private func requireFree(_ name: String, besides id: Int32) throws(IcebergError) {
    let siblings = schema.parent(ofID: id)?.type.children ?? schema.fields
    guard !name.isEmpty else { throw refuse("a column needs a name") }
    guard !siblings.contains(where: { $0.name == name && $0.id != id }) else {
      throw IcebergError(.alreadyExists, "there already is a column '\(name)'")
    }
  }

  private func requireVersion3(_ name: String) throws(IcebergError) {
    guard metadata.formatVersion >= 3 else {
      throw refuse("'\(name)': defaults and timestamps in place of dates need format version 3")
    }
  }

  /// Whether a field is another one or somewhere in it.
  private func isInside(_ id: Int32, _ holder: Int32) -> Bool {
    var current: Int32? = id
    while let inner = current {
      if inner == holder { return true }
      current = schema.parent(ofID: inner)?.id
    }
    return false
  }

  private mutating func setFields(_ fields: [NestedField]) {
    schema = TableSchema(fields: fields, identifierFieldIDs: schema.identifierFieldIDs)
  }

  /// Replaces a field wherever it is; nil drops it.
  private mutating func replace(_ id: Int32, _ body: (NestedField) -> NestedField?) {
    setFields(SchemaEditor.replacing(id, in: schema.fields, body))
  }

  private static func replacing(
    _ id: Int32, in fields: [NestedField], _ body: (NestedField) -> NestedField?
  ) -> [NestedField] {
    fields.compactMap { field in
      if field.id == id { return body(field) }
      if field.type.isPrimitive { return field }
      return field.withChildren(replacing(id, in: field.type.children, body))
    }
  }

  private func refuse(_ message: String) -> IcebergError { IcebergError(.invalidArgument, message) }
}

extension NestedField {
  fileprivate func named(_ name: String) -> NestedField {
    var copy = self
    copy.name = name
    return copy
  }

  /// The same field with other fields in its type.
  fileprivate func withChildren(_ children: [NestedField]) -> NestedField {
    var copy = self
    switch type {
    case .structure: copy.type = .structure(children)
    case .list where children.count == 1: copy.type = .list(element: children[0])
    case .map where children.count == 2: copy.type = .map(key: children[0], value: children[1])
    default: break
    }
    return copy
  }
}
