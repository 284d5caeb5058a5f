/// One feature of one group, written `group:feature`.
public struct FeatureReference: Hashable, Sendable, CustomStringConvertible {
  public var group: String
  public var feature: String
  /// The name of the column in answers and training sets.
  public var outputName: String
  /// How long a value counts after its event time where this reference asks for it; nil for what the group's
  /// definition says.
  public var timeToLive: TimeToLive?
  /// In training sets: the spine's column with the moments that count for this reference; nil for the one that
  /// the request names. So the same feature may be asked for at two moments, under two names.
  public var timeColumn: String?
  /// What the entity calls record identifiers of the group, where it is something else: `["airport": "destination"]`
  /// asks for the airport that is the entity's destination. So the same feature may be asked for by several
  /// keys, under several names.
  public var joinKeys: [String: String]

  public init(
    group: String, feature: String, outputName: String? = nil, timeToLive: TimeToLive? = nil,
    timeColumn: String? = nil, joinKeys: [String: String] = [:]
  ) {
    self.group = group
    self.feature = feature
    self.outputName = outputName ?? feature
    self.timeToLive = timeToLive
    self.timeColumn = timeColumn
    self.joinKeys = joinKeys
  }

  public var description: String { "\(group):\(feature)" }
}

extension FeatureGroup {
  /// The entity's names for the record identifiers, in their order.
  package func keyColumns(_ joinKeys: [String: String]) -> [String] {
    recordIdentifiers.map { joinKeys[$0.name] ?? $0.name }
  }
}

/// Features of several groups under one name: what a model reads online, and what its training set
/// has, from one definition.
public struct FeatureView: Hashable, Sendable {
  public var name: String
  public var features: [FeatureReference]

  /// Throws when the name is invalid, there is no feature, or two columns would have one name,
  /// or a ttl is negative.
  public init(name: String, features: [FeatureReference]) throws(FeatureModelError) {
    try Name.validate(name, as: "feature view")
    guard !features.isEmpty else {
      throw FeatureModelError(.invalidDefinition, "feature view '\(name)' names no feature")
    }
    var seen: Set<String> = []
    for reference in features {
      try Name.validate(reference.outputName, as: "column of a feature view")
      if case .microseconds(let length) = reference.timeToLive, length < 0 {
        throw FeatureModelError(
          .invalidDefinition, "feature view '\(name)': \(reference) has a negative ttl")
      }
      guard seen.insert(reference.outputName.lowercased()).inserted else {
        throw FeatureModelError(
          .invalidDefinition,
          "feature view '\(name)' has two columns named '\(reference.outputName)'; rename one: "
            + "\(reference)=another_name")
      }
    }
    self.name = name
    self.features = features
  }

  /// The features of a group that are asked for by the same keys, so that one record answers them.
  package struct Lookup: Hashable, Sendable {
    package var group: String
    package var joinKeys: [String: String]
    /// Where the features are in the view.
    package var places: [Int]
  }

  /// In the order in which they are first named.
  package var lookups: [Lookup] {
    var lookups: [Lookup] = []
    for (place, reference) in features.enumerated() {
      let index = lookups.firstIndex {
        $0.group == reference.group && $0.joinKeys == reference.joinKeys
      }
      if let index {
        lookups[index].places.append(place)
      } else {
        lookups.append(
          Lookup(group: reference.group, joinKeys: reference.joinKeys, places: [place]))
      }
    }
    return lookups
  }

  /// The groups in the order in which they are first named.
  public var groups: [String] {
    var seen: Set<String> = []
    return features.map(\.group).filter { seen.insert($0).inserted }
  }
}
