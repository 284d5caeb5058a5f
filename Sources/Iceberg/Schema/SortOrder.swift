public import JSON

/// One key of a sort order.
public struct SortField: Hashable, Sendable {
  public enum Direction: String, Hashable, Sendable {
    case ascending = "asc"
    case descending = "desc"
  }

  public enum NullOrder: String, Hashable, Sendable {
    case nullsFirst = "nulls-first"
    case nullsLast = "nulls-last"
  }

  public var sourceID: Int32
  /// Further source columns of a multi-argument transform, which is always an unknown one.
  public var additionalSourceIDs: [Int32]
  public var transform: Transform
  public var direction: Direction
  public var nullOrder: NullOrder

  public init(
    sourceID: Int32, transform: Transform = .identity, direction: Direction = .ascending,
    nullOrder: NullOrder = .nullsFirst, additionalSourceIDs: [Int32] = []
  ) {
    self.sourceID = sourceID
    self.additionalSourceIDs = additionalSourceIDs
    self.transform = transform
    self.direction = direction
    self.nullOrder = nullOrder
  }
}

/// The order in which writers sort the rows of a file; order 0 means unsorted.
public struct SortOrder: Hashable, Sendable {
  public var orderID: Int32
  public var fields: [SortField]

  public init(orderID: Int32, fields: [SortField]) {
    self.orderID = orderID
    self.fields = fields
  }

  public static let unsorted = SortOrder(orderID: 0, fields: [])

  public var isUnsorted: Bool { fields.isEmpty }
}

// The wire form.
extension SortField {
  public init(json: JSONValue) throws(IcebergError) {
    var sources = try json.optionalInt32Array("source-ids") ?? []
    if let single = try json.optionalInt32("source-id"), sources.isEmpty { sources = [single] }
    guard let first = sources.first else {
      throw IcebergError(.invalidMetadata, "a sort field has no source-id")
    }
    let direction = try json.requiredString("direction")
    let nullOrder = try json.requiredString("null-order")
    guard let direction = Direction(rawValue: direction.lowercased()) else {
      throw IcebergError(.invalidMetadata, "unknown sort direction '\(direction)'")
    }
    guard let nullOrder = NullOrder(rawValue: nullOrder.lowercased()) else {
      throw IcebergError(.invalidMetadata, "unknown null order '\(nullOrder)'")
    }
    self.init(
      sourceID: first, transform: Transform(text: try json.requiredString("transform")),
      direction: direction, nullOrder: nullOrder, additionalSourceIDs: Array(sources.dropFirst()))
  }

  public var json: JSONValue {
    var object: JSONObject = ["transform": .string(transform.text)]
    object.addSources(sourceID, additionalSourceIDs)
    object["direction"] = .string(direction.rawValue)
    object["null-order"] = .string(nullOrder.rawValue)
    return .object(object)
  }
}

extension SortOrder {
  public init(json: JSONValue) throws(IcebergError) {
    var fields: [SortField] = []
    for element in try json.requiredArray("fields") {
      fields.append(try SortField(json: element))
    }
    self.init(orderID: try json.requiredInt32("order-id"), fields: fields)
  }

  public var json: JSONValue {
    ["order-id": .integer(Int64(orderID)), "fields": .array(fields.map(\.json))]
  }
}
