public import Iceberg
internal import Storage

// Rewrites that touch no data file: manifests, and position delete files.
extension FeatureStore {
  /// Writes the manifests of a group's table anew, few and sorted by partition (Iceberg's rewrite_manifests).
  ///
  /// - Parameter options: `spec-id`, `sort-by`, `target-size-bytes`.
  public func rewriteManifests(
    _ groupName: String, options: [String: String] = [:], isDryRun: Bool = false
  ) throws(FeatureStoreError) -> MaintenanceReport {
    guard !isDryRun else {
      return try dryRun(groupName) { table in
        let plan = try RewriteManifests(table, options: .init(options)).plan()
        return (plan.json, plan.description)
      }
    }
    return try withReserve { _ throws(FeatureStoreError) in
      try withMaintenanceLease(groupName, job: "rewrite-manifests") { table, _ in
        let rewrite = try RewriteManifests(table, options: .init(options))
        let result = try rewrite.execute(rewrite.plan())
        return MaintenanceReport(
          group: groupName, json: result.json, text: result.description, isPartial: false)
      }
    }
  }

  /// Puts few position delete files in the place of many (Iceberg's rewrite_position_delete_files).
  ///
  /// - Parameter options: by the names that `optimize` has, as far as they make sense here.
  public func rewritePositionDeletes(
    _ groupName: String, options: [String: String] = [:], isDryRun: Bool = false,
    progress: MaintenanceProgress.Report? = nil,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws(FeatureStoreError) -> MaintenanceReport {
    func rewrite(_ table: Table) throws -> RewritePositionDeleteFiles {
      var rewrite = RewritePositionDeleteFiles(
        table, options: try .init(options, tableProperties: table.properties))
      rewrite.isStopped = isStopped
      return rewrite
    }
    guard !isDryRun else {
      return try dryRun(groupName) { table in
        let plan = try rewrite(table).plan()
        return (plan.json, plan.description)
      }
    }
    return try withReserve { isLast throws(FeatureStoreError) in
      try withMaintenanceLease(groupName, job: "rewrite-position-deletes") { table, _ in
        let rewrite = try rewrite(table)
        let result = try rewrite.execute(rewrite.plan(), progress: progress)
        let full = result.failures.first { $0.storageError?.kind == .full }
        if let full, !isLast { throw full }
        return MaintenanceReport(
          group: groupName, json: result.json, text: result.description,
          isPartial: !result.failures.isEmpty)
      }
    }
  }
}
