package import JSON

// The wire form of commits in the REST protocol.
extension TableUpdate {
  /// - Parameter formatVersion: of the table, for the form of snapshots.
  package func json(formatVersion: Int) -> JSONValue {
    func action(_ name: String, _ members: (String, JSONValue)...) -> JSONValue {
      .object(JSONObject([("action", .string(name))] + members))
    }
    func number(_ value: Int32?) -> JSONValue { .integer(Int64(value ?? -1)) }
    switch self {
    case .upgradeFormatVersion(let version):
      return action("upgrade-format-version", ("format-version", .integer(Int64(version))))
    case .addSchema(let schema, let last):
      return action("add-schema", ("schema", schema.json), ("last-column-id", number(last)))
    case .setCurrentSchema(let id):
      return action("set-current-schema", ("schema-id", number(id)))
    case .addPartitionSpec(let spec): return action("add-spec", ("spec", spec.json))
    case .setDefaultPartitionSpec(let id):
      return action("set-default-spec", ("spec-id", number(id)))
    case .addSortOrder(let order): return action("add-sort-order", ("sort-order", order.json))
    case .setDefaultSortOrder(let id):
      return action("set-default-sort-order", ("sort-order-id", number(id)))
    case .addSnapshot(let snapshot):
      return action("add-snapshot", ("snapshot", snapshot.json(formatVersion: formatVersion)))
    case .setReference(let name, let reference):
      var object: JSONObject = ["action": "set-snapshot-ref", "ref-name": .string(name)]
      for (key, value) in reference.json.objectValue?.members ?? zip([], []) {
        object[key] = value
      }
      return .object(object)
    case .removeReference(let name):
      return action("remove-snapshot-ref", ("ref-name", .string(name)))
    case .removeSnapshots(let ids):
      return action("remove-snapshots", ("snapshot-ids", .array(ids.map { .integer($0) })))
    case .setLocation(let location): return action("set-location", ("location", .string(location)))
    case .setProperties(let properties):
      return action(
        "set-properties",
        (
          "updates",
          .object(
            JSONObject(properties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        ))
    case .removeProperties(let keys):
      return action("remove-properties", ("removals", .array(keys.map { .string($0) })))
    case .setStatistics(let file):
      return action(
        "set-statistics", ("snapshot-id", .integer(file.snapshotID)), ("statistics", file.json))
    case .removeStatistics(let id):
      return action("remove-statistics", ("snapshot-id", .integer(id)))
    case .setPartitionStatistics(let file):
      return action("set-partition-statistics", ("partition-statistics", file.json))
    case .removePartitionStatistics(let id):
      return action("remove-partition-statistics", ("snapshot-id", .integer(id)))
    case .removeSchemas(let ids):
      return action("remove-schemas", ("schema-ids", .array(ids.map { number($0) })))
    case .removePartitionSpecs(let ids):
      return action("remove-partition-specs", ("spec-ids", .array(ids.map { number($0) })))
    }
  }
}

extension TableRequirement {
  /// nil for a table so old that it has no UUID to ask for.
  package var json: JSONValue? {
    func require(_ type: String, _ key: String, _ value: JSONValue) -> JSONValue {
      .object(JSONObject([("type", .string(type)), (key, value)]))
    }
    switch self {
    case .tableUUID(let uuid):
      return uuid.map { require("assert-table-uuid", "uuid", .string($0)) }
    case .referenceSnapshotID(let name, let id):
      return [
        "type": "assert-ref-snapshot-id", "ref": .string(name),
        "snapshot-id": id.map { .integer($0) } ?? .null,
      ]
    case .lastAssignedFieldID(let id):
      return require(
        "assert-last-assigned-field-id", "last-assigned-field-id", .integer(Int64(id)))
    case .currentSchemaID(let id):
      return require("assert-current-schema-id", "current-schema-id", .integer(Int64(id)))
    case .lastAssignedPartitionID(let id):
      return require(
        "assert-last-assigned-partition-id", "last-assigned-partition-id", .integer(Int64(id)))
    case .defaultSpecID(let id):
      return require("assert-default-spec-id", "default-spec-id", .integer(Int64(id)))
    case .defaultSortOrderID(let id):
      return require(
        "assert-default-sort-order-id", "default-sort-order-id", .integer(Int64(id)))
    }
  }
}
