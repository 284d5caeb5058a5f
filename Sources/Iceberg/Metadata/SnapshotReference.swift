import JSON

/// A name for a snapshot: a branch, whose head moves, or a tag, which stays.
public struct SnapshotReference: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable {
    case branch
    case tag
  }

  /// The branch that readers and writers use unless told otherwise.
  public static let main = "main"

  public var snapshotID: Int64
  public var kind: Kind
  /// Branches only: how many snapshots expiry keeps, and for how long.
  public var minSnapshotsToKeep: Int32?
  public var maxSnapshotAgeMilliseconds: Int64?
  /// How long expiry keeps the reference itself; never on `main`.
  public var maxReferenceAgeMilliseconds: Int64?

  public init(
    snapshotID: Int64, kind: Kind, minSnapshotsToKeep: Int32? = nil,
    maxSnapshotAgeMilliseconds: Int64? = nil, maxReferenceAgeMilliseconds: Int64? = nil
  ) {
    self.snapshotID = snapshotID
    self.kind = kind
    self.minSnapshotsToKeep = minSnapshotsToKeep
    self.maxSnapshotAgeMilliseconds = maxSnapshotAgeMilliseconds
    self.maxReferenceAgeMilliseconds = maxReferenceAgeMilliseconds
  }

  /// The same reference, retention included, with another head.
  public func moved(to snapshotID: Int64) -> SnapshotReference {
    var copy = self
    copy.snapshotID = snapshotID
    return copy
  }
}

// The wire form.
extension SnapshotReference {
  init(json: JSONValue) throws(IcebergError) {
    let type = try json.requiredString("type")
    guard let kind = Kind(rawValue: type.lowercased()) else {
      throw IcebergError(.invalidMetadata, "'type' must be branch or tag, found '\(type)'")
    }
    self.init(
      snapshotID: try json.requiredInt64("snapshot-id"), kind: kind,
      minSnapshotsToKeep: try json.optionalInt32("min-snapshots-to-keep"),
      maxSnapshotAgeMilliseconds: try json.optionalInt64("max-snapshot-age-ms"),
      maxReferenceAgeMilliseconds: try json.optionalInt64("max-ref-age-ms"))
  }

  var json: JSONValue {
    var object: JSONObject = [
      "snapshot-id": .integer(snapshotID), "type": .string(kind.rawValue),
    ]
    if let minSnapshotsToKeep {
      object["min-snapshots-to-keep"] = .integer(Int64(minSnapshotsToKeep))
    }
    if let maxSnapshotAgeMilliseconds {
      object["max-snapshot-age-ms"] = .integer(maxSnapshotAgeMilliseconds)
    }
    if let maxReferenceAgeMilliseconds {
      object["max-ref-age-ms"] = .integer(maxReferenceAgeMilliseconds)
    }
    return .object(object)
  }
}
