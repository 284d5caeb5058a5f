internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import Storage

/// The Iceberg tables of a store's offline groups: one a group, named like it, in one catalog.
///
/// Any engine opens them: the catalog is `warehouse/catalog.db` (the layout of Iceberg's JDBC catalog
/// and of PyIceberg's SQL catalog), its name `fstore`, the namespace `features`.
struct OfflineTables: Sendable {
  static let catalogName = "fstore"
  static let namespaceName = "features"

  /// The table's columns beyond the user's own.
  static let writeTime = "write_time"
  static let isDeleted = "is_deleted"
  static let lsn = "lsn"
  /// The last moment at which a record counts; null for those without an expiry of their own. Tables that
  /// are older than this column get it when a record needs it.
  static let expiresAt = FeatureGroup.expiryName

  let catalog: SQLiteCatalog
  let catalogPath: String
  let namespace: Namespace
  let storeID: String

  init(
    warehouse: String, storeID: String, fileSystem: any FileSystem, clock: any WallClock,
    tableFolders: [String] = []
  ) throws(FeatureStoreError) {
    self.storeID = storeID
    catalogPath = StoragePath.join(warehouse, "catalog.db")
    do {
      let io = try FileIO(fileSystem: fileSystem)
      var options = SQLiteCatalog.Options()
      options.tableFolders = tableFolders
      catalog = try SQLiteCatalog(
        databasePath: catalogPath, name: Self.catalogName, warehouse: warehouse, io: io,
        clock: clock, options: options)
      namespace = try Namespace(Self.namespaceName)
      if try !catalog.listNamespaces().contains(namespace) {
        try catalog.createNamespace(namespace)
      }
    } catch { throw FeatureStoreError(error) }
  }

  func identifier(_ group: FeatureGroup) throws(FeatureStoreError) -> TableIdentifier {
    do { return try TableIdentifier(namespace, group.name) } catch {
      throw FeatureStoreError(error)
    }
  }

  /// The group's table as it is now.
  func load(_ group: FeatureGroup) throws(FeatureStoreError) -> Table {
    guard group.isOffline else {
      throw FeatureStoreError(
        .invalidArgument, "feature group '\(group.name)' is online only: it has no offline table")
    }
    let identifier = try identifier(group)
    do {
      return try catalog.loadTable(identifier)
    } catch { throw FeatureStoreError(error) }
  }

  /// Creates the group's table unless it is there. Records up to `lsn` are not for this table.
  func create(_ group: FeatureGroup, from lsn: Int64) throws(FeatureStoreError) {
    let identifier = try identifier(group)
    do {
      guard try !catalog.tableExists(identifier) else {
        let table = try catalog.loadTable(identifier)
        try OfflinePosition.check(table.metadata, storeID: storeID, group: group)
        return
      }
      let schema = Self.schema(group)
      _ = try catalog.createTable(
        identifier,
        TableDefinition(
          schema: schema, partitionSpec: Self.partitionSpec(group, schema),
          properties: properties(group, lsn)))
    } catch { throw FeatureStoreError(error) }
  }

  /// Brings the table's schema up to the group's definition: adds the columns that it lacks.
  func addMissingColumns(_ group: FeatureGroup) throws(FeatureStoreError) {
    let table = try load(group)
    do {
      let missing = Self.schema(group).fields.filter {
        table.schema.field(named: $0.name) == nil
      }
      guard !missing.isEmpty else { return }
      var commit = table.newCommit()
      commit.addColumns(missing)
      _ = try commit.commit()
    } catch { throw FeatureStoreError(error) }
  }

  /// The columns: record identifiers, event time, features, then the system's own. The ids are any
  /// distinct ones: the catalog assigns the table's.
  static func schema(_ group: FeatureGroup) -> TableSchema {
    var nextID: Int32 = 0
    func field(_ name: String, _ type: IcebergType, isRequired: Bool) -> NestedField {
      nextID += 1
      return NestedField(id: nextID, name: name, isRequired: isRequired, type: type)
    }
    func convert(_ type: FeatureType) -> IcebergType {
      switch type {
      case .boolean: .boolean
      case .int: .int
      case .long: .long
      case .float: .float
      case .double: .double
      case .string: .string
      case .binary: .binary
      case .date: .date
      case .timestamp: .timestamptz
      case .decimal(let precision, let scale): .decimal(precision: precision, scale: scale)
      case .uuid: .uuid
      case .list(let element, _):
        .list(element: field("element", convert(element), isRequired: true))
      }
    }
    var fields = group.recordIdentifiers.map { field($0.name, convert($0.type), isRequired: true) }
    fields.append(field(group.eventTimeName, .timestamptz, isRequired: true))
    fields += group.features.map { field($0.name, convert($0.type), isRequired: false) }
    fields.append(field(writeTime, .timestamptz, isRequired: true))
    fields.append(field(isDeleted, .boolean, isRequired: true))
    fields.append(field(lsn, .long, isRequired: true))
    if group.hasExpiryColumn { fields.append(field(expiresAt, .timestamptz, isRequired: false)) }
    return TableSchema(fields: fields)
  }

  private static func partitionSpec(_ group: FeatureGroup, _ schema: TableSchema) -> PartitionSpec {
    let transform: Transform? =
      switch group.partitioning {
      case .none: nil
      case .hour: .hour
      case .day: .day
      case .month: .month
      case .year: .year
      }
    guard let transform, let source = schema.field(named: group.eventTimeName) else {
      return .unpartitioned
    }
    return PartitionSpec(fields: [
      PartitionField(
        sourceID: source.id, fieldID: 1000,
        name: transform.defaultFieldName(source: source.name), transform: transform)
    ])
  }

  /// Bounds for what queries and joins filter by; counts only for the other features, so that wide
  /// tables do not bloat their manifests. The user's own properties win.
  private func properties(_ group: FeatureGroup, _ lsn: Int64) -> [String: String] {
    var properties = [
      "write.metadata.metrics.default": "counts",
      "write.parquet.compression-codec": "zstd",
    ]
    let bounded =
      group.recordIdentifiers.map(\.name)
      + [group.eventTimeName, Self.writeTime, Self.isDeleted, Self.lsn]
    for name in bounded { properties["write.metadata.metrics.column.\(name)"] = "truncate(16)" }
    // So that the rows of a key are looked for only where they may be.
    for feature in group.recordIdentifiers where feature.type != .boolean {
      properties["write.parquet.bloom-filter-enabled.column.\(feature.name)"] = "true"
    }
    properties.merge(group.tableProperties) { _, own in own }
    properties.merge(OfflinePosition(lsn: lsn, storeID: storeID).properties) { _, ours in ours }
    return properties
  }
}
