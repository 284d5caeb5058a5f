/// What maintenance of a table goes by when nobody says otherwise, and where each setting comes from: a property of the
/// table, Iceberg's or Athena's, or the default.
public struct MaintenanceSettings: Hashable, Sendable {
  public struct Setting: Hashable, Sendable {
    /// The name of the option that would change it.
    public var name: String
    public var value: String
    /// The property that says so; nil: the default.
    public var property: String?
  }

  public private(set) var settings: [Setting] = []

  /// - Throws: `invalidArgument` for a property that cannot be understood.
  public init(_ metadata: TableMetadata) throws(IcebergError) {
    let properties = metadata.properties
    func add(_ name: String, _ value: some CustomStringConvertible, _ names: [String]) {
      settings.append(
        Setting(
          name: name, value: value.description, property: names.first { properties[$0] != nil }))
    }
    let rewrite = try RewriteDataFilesOptions([:], tableProperties: properties)
    let target = ["write.target-file-size-bytes", "write_target_data_file_size_bytes"]
    add("target-file-size-bytes", rewrite.targetFileSizeBytes, target)
    add(
      "min-file-size-bytes", rewrite.minFileSizeBytes,
      ["optimize_rewrite_min_data_file_size_bytes"] + target)
    add(
      "max-file-size-bytes", rewrite.maxFileSizeBytes,
      ["optimize_rewrite_max_data_file_size_bytes"] + target)
    add("min-input-files", rewrite.minInputFiles, ["optimize_rewrite_data_file_threshold"])
    add(
      "delete-file-threshold", rewrite.deleteFileThreshold,
      ["optimize_rewrite_delete_file_threshold"])
    add("delete-ratio-threshold", rewrite.deleteRatioThreshold, [])
    let expiry = try ExpireSnapshotsOptions(nowMilliseconds: 0, tableProperties: properties)
    let age = ["history.expire.max-snapshot-age-ms", "vacuum_max_snapshot_age_seconds"]
    add("max-snapshot-age-ms", 0 - expiry.olderThanMilliseconds, age)
    add(
      "min-snapshots-to-keep", expiry.minSnapshotsToKeep,
      ["history.expire.min-snapshots-to-keep", "vacuum_min_snapshots_to_keep"])
    add(
      "max-ref-age-ms",
      expiry.maxReferenceAgeMilliseconds == .max
        ? "forever" : "\(expiry.maxReferenceAgeMilliseconds)",
      ["history.expire.max-ref-age-ms"])
    add(
      "older-than-ms", try VacuumOptions().orphanAge(properties, metadata.tableUUID),
      ["vacuum_max_snapshot_age_seconds"])
    add(
      "metadata-files-to-keep", metadata.previousVersionsToKeep,
      TableMetadata.previousVersionsProperties)
    add("gc.enabled", properties["gc.enabled"]?.lowercased() != "false", ["gc.enabled"])
  }
}
