public import JSON

/// What a vacuum will do, and why the rest stays: a value. A dry run prints it; executing it does
/// this and nothing more.
public struct VacuumPlan: Hashable, Sendable {
  public enum Reason: String, Hashable, Sendable, CaseIterable {
    /// Only snapshots that expire speak of it.
    case expired
    /// Nothing speaks of it, and it is old.
    case orphan
  }

  /// Why a file that nothing reachable speaks of stays.
  public enum KeepReason: String, Hashable, Sendable, CaseIterable {
    /// It may belong to a write that is not committed yet.
    case young
    /// It is not below the table's data or metadata folder.
    case elsewhere
    /// Orphans were not asked for.
    case orphansNotRemoved = "orphans-not-removed"

    /// In words.
    var explanation: String {
      switch self {
      case .young:
        "nothing refers to it, but it is young: it may be of a write that is not committed"
      case .elsewhere: "only snapshots that expire refer to it, but it lies outside of the table"
      case .orphansNotRemoved: "nothing refers to it, but orphans are not to be removed"
      }
    }
  }

  public struct File: Hashable, Sendable {
    /// The path below the table's location.
    public var name: String
    public var kind: TableFileKind
    public var reason: Reason
    public var sizeBytes: Int64
    /// Microseconds since 1970, as listed.
    public var modificationTimeMicroseconds: Int64
  }

  public var tableUUID: String?
  public var expiry: ExpireSnapshotsPlan?
  /// The table's references as the plan saw them. One that goes must still be the same, and the retention of those
  /// that stay, too: somebody may have made a tag anew, to stay for ever, where an old one was.
  public var references: [String: SnapshotReference]
  /// In the order in which they are deleted.
  public var files: [File]
  public var keptCounts: [KeepReason: Int]
  /// Files that the retained snapshots and metadata speak of.
  public var reachableFileCount: Int
  /// Hidden names and links in the table's folders: never touched.
  public var skippedCount: Int
  public var orphanCutoffMicroseconds: Int64
  /// The space below the table's folders, and who holds what stays.
  public var use = StorageUse()
  /// Of every file, by name, why it stays or goes; empty unless `VacuumOptions.explainsFiles`.
  public var explanations: [FileExplanation] = []

  /// What will be there afterwards.
  public var after: FileCounts {
    FileCounts(files: use.total.files - files.count, bytes: use.total.bytes - sizeBytes)
  }

  public var sizeBytes: Int64 { files.reduce(0) { $0.addingSaturated($1.sizeBytes) } }
  public var isEmpty: Bool { files.isEmpty && (expiry?.isEmpty ?? true) }

  /// The plan for a dry run.
  public var json: JSONValue {
    var object = JSONObject()
    if let expiry { object["expiry"] = expiry.json }
    object["files"] = .integer(Int64(files.count))
    object["bytes"] = .integer(sizeBytes)
    object["reachable-files"] = .integer(Int64(reachableFileCount))
    var kept = JSONObject()
    for reason in KeepReason.allCases {
      kept[reason.rawValue] = .integer(Int64(keptCounts[reason] ?? 0))
    }
    kept["hidden"] = .integer(Int64(skippedCount))
    object["kept"] = .object(kept)
    object["before"] = use.total.json
    object["after"] = after.json
    object["held"] = use.heldJSON
    if !explanations.isEmpty { object["explanations"] = .array(explanations.map(\.json)) }
    object["deletes"] = .array(files.map(\.json))
    return .object(object)
  }
}

extension VacuumPlan.File {
  fileprivate var json: JSONValue {
    [
      "path": .string(name), "kind": .string(kind.rawValue), "reason": .string(reason.rawValue),
      "bytes": .integer(sizeBytes),
    ]
  }
}

extension VacuumPlan: CustomStringConvertible {
  /// A few lines to read.
  public var description: String {
    var lines: [String] = []
    if let expiry {
      lines.append(
        "\(expiry.expiredSnapshotIDs.count) snapshots expire, \(expiry.kept.count) stay; "
          + "\(expiry.removedReferences.count) references go")
    }
    lines.append("\(files.count) files to delete (\(sizeBytes) bytes)")
    for reason in KeepReason.allCases {
      if let count = keptCounts[reason], count > 0 {
        lines.append("\(count) unreferenced files stay: \(reason.rawValue)")
      }
    }
    lines.append(use.description(after: after))
    return lines.joined(separator: "\n")
  }
}

/// What a vacuum did.
public struct VacuumResult: Sendable {
  /// The table after the expiry.
  public var table: Table
  public var expiredSnapshotCount = 0
  public var removedReferenceCount = 0
  public var deleted: [TableFileKind: FileCounts] = [:]
  /// Planned, but gone already: an earlier run did it.
  public var alreadyGoneCount = 0
  /// Planned, but spoken of again, or changed since: they stay.
  public var sparedCount = 0
  /// The space before, and who holds what was to stay.
  public var use = StorageUse()
  /// What ended the deleting before its end. The expiry itself has happened; another run goes on.
  public var failure: IcebergError?

  public var deletedFileCount: Int { deleted.values.reduce(0) { $0 + $1.files } }
  public var deletedBytes: Int64 { deleted.values.reduce(0) { $0.addingSaturated($1.bytes) } }

  /// The space afterwards, without the metadata file that the expiry itself makes.
  public var after: FileCounts {
    FileCounts(
      files: use.total.files - deletedFileCount - alreadyGoneCount,
      bytes: use.total.bytes - deletedBytes)
  }

  public init(table: Table) { self.table = table }
}

extension StorageUse {
  /// One line: before, after, and who holds the rest.
  public func description(after: FileCounts) -> String {
    let held = shares.map { "\($0.holder) \($0.counts.files) (\($0.counts.bytes) bytes)" }
    return
      "\(total.files) files (\(total.bytes) bytes) before, \(after.files) (\(after.bytes) bytes) after"
      + (held.isEmpty ? "" : "; held by " + held.joined(separator: ", "))
  }
}

extension VacuumResult {
  public var json: JSONValue {
    var object = JSONObject()
    object["expired-snapshots"] = .integer(Int64(expiredSnapshotCount))
    object["removed-references"] = .integer(Int64(removedReferenceCount))
    object["deleted-files"] = .integer(Int64(deletedFileCount))
    object["deleted-bytes"] = .integer(deletedBytes)
    var kinds = JSONObject()
    for kind in TableFileKind.allCases {
      guard let counts = deleted[kind] else { continue }
      kinds[kind.rawValue] = counts.json
    }
    object["deleted-by-kind"] = .object(kinds)
    object["before"] = use.total.json
    object["after"] = after.json
    object["held"] = use.heldJSON
    object["already-gone"] = .integer(Int64(alreadyGoneCount))
    object["spared"] = .integer(Int64(sparedCount))
    object["failure"] = failure.map { .string($0.description) } ?? .null
    return .object(object)
  }
}
