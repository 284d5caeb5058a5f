public import JSON

/// What expiry is asked to keep. Times are milliseconds since 1970 and ages milliseconds.
public struct ExpireSnapshotsOptions: Hashable, Sendable {
  public var nowMilliseconds: Int64
  /// Snapshots older than this may go.
  public var olderThanMilliseconds: Int64
  /// How many snapshots every branch keeps at least, whatever their age.
  public var minSnapshotsToKeep: Int64
  /// How long branches (but main) and tags live without a setting of their own.
  public var maxReferenceAgeMilliseconds: Int64
  /// Snapshots to expire whatever their age; naming the head of a branch or a tag's is an error.
  public var snapshotIDs: Set<Int64>
  /// Snapshots that a running job started from: they stay.
  public var protectedSnapshotIDs: Set<Int64>

  /// Takes what is not given from the table's properties: Iceberg's `history.expire.*`, then Athena's
  /// `vacuum_*`, then the defaults (five days, one snapshot, references for ever).
  public init(
    nowMilliseconds: Int64, olderThanMilliseconds: Int64? = nil, retainLast: Int64? = nil,
    snapshotIDs: Set<Int64> = [], protectedSnapshotIDs: Set<Int64> = [],
    tableProperties: [String: String] = [:]
  ) throws(IcebergError) {
    var reader = OptionReader(options: [:], properties: tableProperties)
    let fiveDays: Int64 = 432_000_000
    let seconds = try reader.integer(
      "", properties: ["vacuum_max_snapshot_age_seconds"], otherwise: fiveDays / 1000)
    let age = try reader.integer(
      "", properties: ["history.expire.max-snapshot-age-ms"],
      otherwise: seconds.multipliedSaturated(by: 1000))
    self.olderThanMilliseconds =
      olderThanMilliseconds ?? nowMilliseconds.subtractingSaturated(age)
    let least = try reader.integer(
      "", properties: ["history.expire.min-snapshots-to-keep", "vacuum_min_snapshots_to_keep"],
      otherwise: 1)
    minSnapshotsToKeep = retainLast ?? least
    self.nowMilliseconds = nowMilliseconds
    maxReferenceAgeMilliseconds = try reader.integer(
      "", properties: ["history.expire.max-ref-age-ms"], otherwise: .max)
    self.snapshotIDs = snapshotIDs
    self.protectedSnapshotIDs = protectedSnapshotIDs
    guard minSnapshotsToKeep >= 1 else {
      throw IcebergError(
        .invalidArgument,
        "Number of snapshots to retain must be at least 1, cannot be: \(minSnapshotsToKeep)")
    }
  }
}

/// Which snapshots and references go, and why each of the others stays: a value, computed from the
/// metadata alone.
///
/// The rule is the specification's and the reference implementation's:
/// 1. a reference (but main) that is too old, or whose snapshot is missing, goes;
/// 2. every head of a reference that stays, stays;
/// 3. from each branch's head back, snapshots stay while they are young or too few, up to the first
///    that is neither;
/// 4. snapshots that no reference that stays can reach, stay while they are young: somebody may be
///    about to publish them.
public struct ExpireSnapshotsPlan: Hashable, Sendable {
  public enum KeepReason: Hashable, Sendable {
    /// The head of a branch, or a tag's snapshot.
    case head(reference: String)
    case minSnapshotsToKeep(branch: String)
    case young(branch: String)
    case youngWithoutReference
    /// A job that runs started from it.
    case inUse
  }

  /// In the order of the metadata.
  public var expiredSnapshotIDs: [Int64]
  public var removedReferences: [String]
  public var kept: [Int64: KeepReason]

  public var isEmpty: Bool { expiredSnapshotIDs.isEmpty && removedReferences.isEmpty }

  /// - Throws: `invalidArgument` if a snapshot that was named is a head that stays.
  public init(
    _ metadata: TableMetadata, _ options: ExpireSnapshotsOptions
  ) throws(IcebergError) {
    let history = SnapshotHistory(metadata.snapshots)
    let references = metadata.references.sorted { $0.key < $1.key }
    let stays = references.filter { name, reference in
      name == SnapshotReference.main
        || history.isYoung(
          reference,
          since: options.nowMilliseconds.subtractingSaturated(
            reference.maxReferenceAgeMilliseconds ?? options.maxReferenceAgeMilliseconds))
    }
    for id in options.snapshotIDs.sorted() {
      let names = stays.filter { $0.value.snapshotID == id }.map(\.key)
      guard names.isEmpty else {
        throw IcebergError(
          .invalidArgument,
          "Cannot expire \(id). Still referenced by refs: [\(names.joined(separator: ", "))]")
      }
    }
    var kept: [Int64: KeepReason] = [:]
    for (name, reference) in stays { kept[reference.snapshotID] = .head(reference: name) }
    var referenced: Set<Int64> = []
    for (name, reference) in stays {
      referenced.insert(reference.snapshotID)
      guard reference.kind == .branch else { continue }
      let lineage = history.lineage(from: reference.snapshotID)
      referenced.formUnion(lineage.map(\.snapshotID))
      Self.keep(lineage, name, reference, options, &kept)
    }
    for snapshot in metadata.snapshots {
      let isYoung = snapshot.timestampMilliseconds >= options.olderThanMilliseconds
      if isYoung, !referenced.contains(snapshot.snapshotID) {
        kept[snapshot.snapshotID] = .youngWithoutReference
      }
    }
    for id in options.snapshotIDs { kept[id] = nil }
    for id in options.protectedSnapshotIDs where kept[id] == nil && history[id] != nil {
      kept[id] = .inUse
    }
    self.kept = kept
    expiredSnapshotIDs = metadata.snapshots.map(\.snapshotID).filter { kept[$0] == nil }
    let staying = Set(stays.map(\.key))
    removedReferences = references.map(\.key).filter { !staying.contains($0) }
  }

  /// Rule 3.
  private static func keep(
    _ lineage: [Snapshot], _ name: String, _ reference: SnapshotReference,
    _ options: ExpireSnapshotsOptions,
    _ kept: inout [Int64: KeepReason]
  ) {
    let cutoff =
      reference.maxSnapshotAgeMilliseconds.map { options.nowMilliseconds.subtractingSaturated($0) }
      ?? options.olderThanMilliseconds
    let least = reference.minSnapshotsToKeep.map { Int64($0) } ?? options.minSnapshotsToKeep
    for (index, snapshot) in lineage.enumerated() {
      let isYoung = snapshot.timestampMilliseconds >= cutoff
      guard isYoung || Int64(index) < least else { return }
      if kept[snapshot.snapshotID] == nil {
        kept[snapshot.snapshotID] =
          isYoung ? .young(branch: name) : .minSnapshotsToKeep(branch: name)
      }
    }
  }

  /// The change of the metadata; references first, since one may point to what goes.
  public var updates: [TableUpdate] {
    var updates = removedReferences.map { TableUpdate.removeReference(name: $0) }
    if !expiredSnapshotIDs.isEmpty { updates.append(.removeSnapshots(ids: expiredSnapshotIDs)) }
    return updates
  }
}

/// Snapshots by id, and the way from one to its ancestors.
struct SnapshotHistory {
  private let byID: [Int64: Snapshot]

  init(_ snapshots: [Snapshot]) {
    byID = Dictionary(
      snapshots.map { ($0.snapshotID, $0) }, uniquingKeysWith: { first, _ in first })
  }

  subscript(id: Int64) -> Snapshot? { byID[id] }

  /// The snapshot and its ancestors, as far as they are there. Ends at a circle, which only damaged
  /// metadata has.
  func lineage(from id: Int64) -> [Snapshot] {
    var lineage: [Snapshot] = []
    var seen: Set<Int64> = []
    var next: Int64? = id
    while let id = next, let snapshot = byID[id], seen.insert(id).inserted {
      lineage.append(snapshot)
      next = snapshot.parentSnapshotID
    }
    return lineage
  }

  func isYoung(_ reference: SnapshotReference, since cutoff: Int64) -> Bool {
    guard let snapshot = byID[reference.snapshotID] else { return false }
    return snapshot.timestampMilliseconds >= cutoff
  }
}

extension ExpireSnapshotsPlan {
  /// The plan for a dry run.
  public var json: JSONValue {
    var object = JSONObject()
    object["expired-snapshots"] = .array(expiredSnapshotIDs.map { .integer($0) })
    object["removed-references"] = .array(removedReferences.map { .string($0) })
    var reasons = JSONObject()
    for (id, reason) in kept.sorted(by: { $0.key < $1.key }) {
      reasons["\(id)"] = .string(reason.description)
    }
    object["kept-snapshots"] = .object(reasons)
    return .object(object)
  }
}

extension ExpireSnapshotsPlan.KeepReason: CustomStringConvertible {
  public var description: String {
    switch self {
    case .head(let reference): "head of '\(reference)'"
    case .minSnapshotsToKeep(let branch): "among the least number that '\(branch)' keeps"
    case .young(let branch): "younger than '\(branch)' lets go"
    case .youngWithoutReference: "young, though no branch or tag reaches it"
    case .inUse: "a running job started from it"
    }
  }
}

extension Int64 {
  func subtractingSaturated(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other > 0 ? .min : .max) : difference
  }

  func multipliedSaturated(by other: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? ((self < 0) == (other < 0) ? .max : .min) : product
  }
}
