internal import FeatureModel
internal import JSON

/// The definitions that a store holds: its identity, its groups, its views. One JSON file, `store.json`,
/// replaced as a whole, with a checksum.
struct Registry: Sendable {
  static let fileName = "store.json"
  static let formatVersion: Int64 = 1
  static let sizeLimitBytes = 64 << 20

  var storeID: String
  var createdMicroseconds: Int64
  var nextGroupID: UInt32 = 1
  var settings = StoreSettings()
  private(set) var groups: [FeatureGroup] = []
  private(set) var views: [FeatureView] = []

  init(storeID: String, createdMicroseconds: Int64) {
    self.storeID = storeID
    self.createdMicroseconds = createdMicroseconds
  }

  func group(_ name: String) throws(FeatureStoreError) -> FeatureGroup {
    if let group = groups.first(where: { $0.name == name }) { return group }
    throw Self.unknown("feature group", name, among: groups.map(\.name))
  }

  func group(id: UInt32) -> FeatureGroup? { groups.first { $0.id == id } }

  /// Whether a record of a group counts online no more at this time, by its event time.
  func isExpired(at now: Int64) -> (UInt32, Int64) -> Bool {
    let groups = Dictionary(uniqueKeysWithValues: self.groups.map { ($0.id, $0) })
    return { id, eventTime in
      guard let group = groups[id], group.isOnline else { return true }
      return eventTime < group.timeToLive.oldestEventTime(at: now)
    }
  }

  func view(_ name: String) throws(FeatureStoreError) -> FeatureView {
    if let view = views.first(where: { $0.name == name }) { return view }
    throw Self.unknown("feature view", name, among: views.map(\.name))
  }

  static func unknown(
    _ role: String, _ name: String, among names: [String]
  ) -> FeatureStoreError {
    let hint =
      if let nearest = NearestName.find(name, in: names) {
        "did you mean '\(nearest)'?"
      } else if names.isEmpty {
        "the store has none yet"
      } else {
        "there are: \(names.sorted().prefix(10).joined(separator: ", "))"
      }
    return FeatureStoreError(.notFound, "unknown \(role) '\(name)'; \(hint)")
  }

  mutating func add(_ group: FeatureGroup) throws(FeatureStoreError) {
    guard !groups.contains(where: { $0.name.lowercased() == group.name.lowercased() }) else {
      throw FeatureStoreError(.alreadyExists, "feature group '\(group.name)' exists already")
    }
    groups.append(group)
    nextGroupID = max(nextGroupID, group.id + 1)
  }

  mutating func replace(_ group: FeatureGroup) {
    groups = groups.map { $0.id == group.id ? group : $0 }
  }

  /// Adds a view after a check that its features exist, and live no longer than the online store keeps them.
  mutating func add(_ view: FeatureView) throws(FeatureStoreError) {
    guard !views.contains(where: { $0.name.lowercased() == view.name.lowercased() }) else {
      throw FeatureStoreError(.alreadyExists, "feature view '\(view.name)' exists already")
    }
    for reference in view.features {
      let group = try group(reference.group)
      do {
        _ = try group.featureIndex(reference.feature)
      } catch {
        throw FeatureStoreError(.notFound, error.message, cause: error)
      }
      let identifiers = group.recordIdentifiers.map(\.name)
      for name in reference.joinKeys.keys.sorted() where !identifiers.contains(name) {
        throw Self.unknown("record identifier of '\(group.name)'", name, among: identifiers)
      }
      guard let own = reference.timeToLive, own > group.timeToLive else { continue }
      throw FeatureStoreError(
        .invalidArgument,
        "\(reference) has a ttl of \(own) in the view, but the online store drops values of "
          + "'\(group.name)' after \(group.timeToLive)")
    }
    views.append(view)
  }
}

extension Registry {
  /// The file's text.
  var encoded: [UInt8] { SealedJSON.text(json, pretty: true) }

  private var json: JSONValue {
    [
      "format_version": .integer(Self.formatVersion), "store_id": .string(storeID),
      "created_microseconds": .integer(createdMicroseconds),
      "next_group_id": .integer(Int64(nextGroupID)), "groups": .array(groups.map(\.json)),
      "views": .array(views.map(\.json)), "settings": settings.json,
    ]
  }

  /// Reads `store.json`; throws `.notAStore` or `.corrupt`.
  init(parsing bytes: [UInt8], path: String) throws(FeatureStoreError) {
    func damaged(_ message: String, _ cause: (any Error)? = nil) -> FeatureStoreError {
      FeatureStoreError(.corrupt, "'\(path)' is damaged: \(message)", cause: cause)
    }
    let json: JSONValue
    do {
      json = try JSONValue(parsing: bytes)
    } catch { throw damaged(error.description, error) }
    guard let version = json["format_version"]?.int64Value else {
      throw damaged("no format version")
    }
    guard version <= Self.formatVersion else {
      throw FeatureStoreError(
        .notAStore,
        "'\(path)' has format version \(version); this fstore reads up to \(Self.formatVersion)")
    }
    // Files of older versions have no checksum.
    guard SealedJSON.isWhole(bytes, json, pretty: true) ?? true else {
      throw damaged("its checksum does not match")
    }
    guard let storeID = json["store_id"]?.stringValue, storeID.utf8.count == 36,
      let created = json["created_microseconds"]?.int64Value,
      let next = json["next_group_id"]?.int64Value, let nextGroupID = UInt32(exactly: next)
    else { throw damaged("the store's identity is missing") }
    self.init(storeID: storeID, createdMicroseconds: created)
    self.nextGroupID = nextGroupID
    do {
      for group in json["groups"]?.arrayValue ?? [] { groups.append(try FeatureGroup(json: group)) }
      settings = try StoreSettings(json: json["settings"])
      for view in json["views"]?.arrayValue ?? [] { views.append(try FeatureView(json: view)) }
    } catch { throw damaged("\(error)", error) }
    guard groups.allSatisfy({ $0.id < nextGroupID }), Set(groups.map(\.id)).count == groups.count
    else { throw damaged("group ids repeat") }
  }
}
