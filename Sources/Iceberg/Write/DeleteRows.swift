/// Deletes the rows for which a filter is true, or puts other rows in their place, in one commit.
///
/// A file that goes as a whole is only taken out of the metadata. Of other files the rows are found
/// by reading; then either the file is written again without them (copy-on-write) or a delete file
/// names them (merge-on-read).
public struct DeleteRows: Sendable {
  public enum Mode: String, Hashable, Sendable {
    case copyOnWrite = "copy-on-write"
    case mergeOnRead = "merge-on-read"
  }

  public let table: Table
  public let filter: FilterExpression
  /// nil follows the table's `write.delete.mode`, copy-on-write when absent.
  public var mode: Mode?
  /// nil follows `write.delete.isolation-level`, serializable when absent.
  public var isolation: IsolationLevel?
  public var branch = SnapshotReference.main
  /// Entries for the snapshot's summary, beside the counts.
  public var summary: [String: String] = [:]
  public var commitOptions = CommitOptions()

  public init(_ table: Table, where filter: FilterExpression) {
    self.table = table
    self.filter = filter
  }

  /// Finds the files that may have such rows, from metadata alone.
  public func plan() throws(IcebergError) -> DeleteRowsPlan {
    let head = try table.refresh()
    let metadata = head.metadata
    guard metadata.formatVersion >= 2 else {
      throw IcebergError(
        .unsupported, "tables of format version 1 are only read: upgrade the table first")
    }
    var scan = head.newScan()
    if branch != SnapshotReference.main || metadata.references[branch] != nil {
      scan.version = .reference(branch)
    }
    scan.filter = filter
    scan.includesStatistics = true
    let planned = try scan.planFiles()
    let expression = try BoundExpression(filter, schema: metadata.currentSchema)
    var plan = DeleteRowsPlan(
      table: head, startingSnapshot: planned.snapshot, mode: try mode(metadata),
      isolation: try isolation(metadata))
    for task in planned.tasks {
      let spec = metadata.partitionSpec(id: task.dataFile.specID)
      if expression.mustMatch(task.dataFile, spec) {
        plan.wholeFiles.append(task)
      } else {
        plan.candidates.append(task)
      }
    }
    return plan
  }

  private func mode(_ metadata: TableMetadata) throws(IcebergError) -> Mode {
    if let mode { return mode }
    guard let text = metadata.properties["write.delete.mode"] else { return .copyOnWrite }
    guard let mode = Mode(rawValue: text.lowercased()) else {
      throw IcebergError(.invalidArgument, "'write.delete.mode' is '\(text)'")
    }
    return mode
  }

  private func isolation(_ metadata: TableMetadata) throws(IcebergError) -> IsolationLevel {
    if let isolation { return isolation }
    guard let text = metadata.properties["write.delete.isolation-level"] else {
      return .serializable
    }
    guard let level = IsolationLevel(rawValue: text.lowercased()) else {
      throw IcebergError(.invalidArgument, "'write.delete.isolation-level' is '\(text)'")
    }
    return level
  }
}

/// Which files a deletion takes as a whole, and in which it has to look for rows.
public struct DeleteRowsPlan: Sendable {
  public let table: Table
  /// nil for an empty branch.
  public let startingSnapshot: Snapshot?
  public let mode: DeleteRows.Mode
  public let isolation: IsolationLevel
  /// Every row matches.
  public internal(set) var wholeFiles: [FileScanTask] = []
  /// Some rows may match.
  public internal(set) var candidates: [FileScanTask] = []
}

/// What a deletion did.
public struct DeleteRowsResult: Sendable {
  public var table: Table
  /// nil when no row matched and none was added.
  public var snapshotID: Int64?
  /// Rows of files that went as a whole count as the metadata counts them, deleted ones included.
  public var deletedRowCount: Int64 = 0
  public var removedFileCount = 0
  public var rewrittenFileCount = 0
  public var addedDeleteFileCount = 0
}

extension BoundExpression {
  /// Whether every row of a file matches for certain, by its partition values and its metrics.
  func mustMatch(_ file: DataFile, _ spec: PartitionSpec?) -> Bool {
    switch self {
    case .constant(let value): return value
    case .and(let operands): return operands.allSatisfy { $0.mustMatch(file, spec) }
    case .or(let operands): return operands.contains { $0.mustMatch(file, spec) }
    case .predicate(let predicate):
      guard predicate.field.type.isPrimitive else { return false }
      if let spec, spec.fields.count == file.partition.count {
        for (field, value) in zip(spec.fields, file.partition)
        where field.sourceID == predicate.field.id && field.transform == .identity {
          return predicate.mustMatch(ValueSummary(value))
        }
      }
      return predicate.mustMatch(ValueSummary(file, predicate.field))
    }
  }
}

extension BoundPredicate {
  /// Whether no value is left for which the condition is false or unknown.
  fileprivate func mustMatch(_ values: ValueSummary) -> Bool {
    switch test {
    case .isNull: return !values.mayHaveValue && !values.mayHaveNaN
    case .isNotNull: return !values.mayHaveNull
    default: return !values.mayHaveNull && !values.mayMatch(test.negated)
    }
  }
}

extension BoundPredicate.Test {
  fileprivate var negated: BoundPredicate.Test {
    switch self {
    case .compare(let comparison, let value): .compare(comparison.negated, value)
    case .isIn(let values): .isNotIn(values)
    case .isNotIn(let values): .isIn(values)
    case .isNull: .isNotNull
    case .isNotNull: .isNull
    case .isNaN: .isNotNaN
    case .isNotNaN: .isNaN
    case .startsWith(let prefix): .startsNotWith(prefix)
    case .startsNotWith(let prefix): .startsWith(prefix)
    }
  }
}
