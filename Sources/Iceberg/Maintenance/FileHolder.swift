public import JSON

/// Who keeps a file of a table from being deleted. A file that several keep counts for the first of them in this order,
/// so what one holds is what could go if it went, and those behind it.
public enum FileHolder: Hashable, Sendable {
  /// The table's current snapshot: live files.
  case current
  /// The head of another branch.
  case branch(String)
  case tag(String)
  /// Another snapshot, which is not to expire yet.
  case snapshot(Int64, ExpireSnapshotsPlan.KeepReason?)
  /// The metadata itself: metadata files, statistics, the hint.
  case metadata
  /// A metadata file that is newer than the catalog's.
  case newerMetadata

  /// The word under which its space is counted.
  public var group: String {
    switch self {
    case .current: "current snapshot"
    case .branch(let name): "branch '\(name)'"
    case .tag(let name): "tag '\(name)'"
    case .snapshot: "retention"
    case .metadata: "metadata"
    case .newerMetadata: "newer metadata"
    }
  }

  /// Why a file stays, in words.
  public var reason: String {
    switch self {
    case .current: "live: the current snapshot refers to it"
    case .branch(let name): "the head of branch '\(name)' refers to it"
    case .tag(let name): "tag '\(name)' refers to it"
    case .snapshot(let id, let reason):
      "snapshot \(id) refers to it, which stays: "
        + (reason?.description ?? "snapshots were not asked to expire")
    case .metadata: "the table's metadata names it"
    case .newerMetadata: "a metadata file that is newer than the catalog's names it"
    }
  }
}

/// Files and their bytes.
public struct FileCounts: Hashable, Sendable {
  public var files = 0
  public var bytes: Int64 = 0

  public init() {}

  public init(files: Int, bytes: Int64) {
    self.files = files
    self.bytes = bytes
  }

  mutating func add(_ sizeBytes: Int64) {
    files += 1
    bytes = bytes.addingSaturated(sizeBytes)
  }

  public var json: JSONValue { ["files": .integer(Int64(files)), "bytes": .integer(bytes)] }
}

/// The space of a table below its folders, and who holds it.
public struct StorageUse: Hashable, Sendable {
  public struct Share: Hashable, Sendable {
    public var holder: String
    public var counts: FileCounts
  }

  /// All files that were listed.
  public var total = FileCounts()
  /// What stays, by who holds it: in the order of `FileHolder`, then what nothing refers to.
  public var shares: [Share] = []

  mutating func add(_ holder: String, _ sizeBytes: Int64) {
    if let index = shares.firstIndex(where: { $0.holder == holder }) {
      shares[index].counts.add(sizeBytes)
    } else {
      shares.append(Share(holder: holder, counts: FileCounts(files: 1, bytes: sizeBytes)))
    }
  }

  public var heldJSON: JSONValue {
    .array(
      shares.map { share in
        [
          "by": .string(share.holder), "files": .integer(Int64(share.counts.files)),
          "bytes": .integer(share.counts.bytes),
        ]
      })
  }
}

/// Why one file of a table stays or goes.
public struct FileExplanation: Hashable, Sendable {
  /// The path below the table's folder, or the whole path of what lies elsewhere.
  public var name: String
  /// nil for what is left alone unseen: hidden names and links.
  public var kind: TableFileKind?
  public var sizeBytes: Int64
  public var stays: Bool
  public var why: String

  public var json: JSONValue {
    [
      "path": .string(name), "kind": kind.map { .string($0.rawValue) } ?? .null,
      "bytes": .integer(sizeBytes), "stays": .bool(stays), "why": .string(why),
    ]
  }
}
