// Changes of what new data looks like.
extension TableCommit {
  /// Changes the schema, and with it the name mapping, if the table has one.
  public mutating func updateSchema(_ change: SchemaUpdate) {
    update { metadata throws(IcebergError) in
      let (schema, lastColumnID) = try change.apply(to: metadata)
      guard !schema.hasSameFields(as: metadata.currentSchema) else { return [] }
      // Ids of our own: not every catalog's server gives new ones.
      var updates: [TableUpdate] = []
      if let equal = metadata.schemas.first(where: { $0.hasSameFields(as: schema) }) {
        updates = [.setCurrentSchema(id: equal.schemaID)]
      } else {
        let id = try TableMetadata.id(after: metadata.schemas.map(\.schemaID), "schema")
        updates = [
          .addSchema(schema.withID(id), lastColumnID: lastColumnID), .setCurrentSchema(id: nil),
        ]
      }
      if let mapping = metadata.properties[NameMapping.property] {
        let updated = try NameMapping.updated(mapping, for: schema)
        if updated != mapping { updates.append(.setProperties([NameMapping.property: updated])) }
      }
      return updates
    }
  }

  /// Changes the partition spec of data to come.
  public mutating func updatePartitionSpec(_ change: PartitionSpecUpdate) {
    update { metadata throws(IcebergError) in
      let spec = try change.apply(to: metadata)
      guard !spec.hasSameFields(as: metadata.defaultPartitionSpec) else { return [] }
      if let equal = metadata.partitionSpecs.first(where: { $0.hasSameFields(as: spec) }) {
        return [.setDefaultPartitionSpec(id: equal.specID)]
      }
      let id = try TableMetadata.id(after: metadata.partitionSpecs.map(\.specID), "partition spec")
      return [
        .addPartitionSpec(PartitionSpec(specID: id, fields: spec.fields)),
        .setDefaultPartitionSpec(id: nil),
      ]
    }
  }

  /// Puts another sort order in the place of the default one; no keys for unsorted.
  ///
  /// - Parameter keys: columns by full name.
  public mutating func replaceSortOrder(
    _ keys: [(
      column: String, transform: Transform, direction: SortField.Direction,
      nullOrder: SortField.NullOrder
    )]
  ) {
    update { metadata throws(IcebergError) in
      var fields: [SortField] = []
      for key in keys {
        guard let source = metadata.currentSchema.field(named: key.column) else {
          throw IcebergError(.invalidArgument, "there is no column '\(key.column)'")
        }
        guard key.transform.resultType(of: source.type)?.isPrimitive == true else {
          throw IcebergError(
            .invalidArgument,
            "'\(key.column)' of type \(source.type) cannot be sorted by \(key.transform)")
        }
        fields.append(
          SortField(
            sourceID: source.id, transform: key.transform, direction: key.direction,
            nullOrder: key.nullOrder))
      }
      guard fields != metadata.defaultSortOrder.fields else { return [] }
      if let equal = metadata.sortOrders.first(where: { $0.fields == fields }) {
        return [.setDefaultSortOrder(id: equal.orderID)]
      }
      let next = try TableMetadata.id(after: metadata.sortOrders.map(\.orderID) + [0], "sort order")
      let order = SortOrder(orderID: fields.isEmpty ? 0 : next, fields: fields)
      return [.addSortOrder(order), .setDefaultSortOrder(id: nil)]
    }
  }
}
