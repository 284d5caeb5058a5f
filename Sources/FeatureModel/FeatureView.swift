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

  public init(
    group: String, feature: String, outputName: String? = nil, timeToLive: TimeToLive? = nil,
    timeColumn: String? = nil
  ) {
    self.group = group
    self.feature = feature
    self.outputName = outputName ?? feature
    self.timeToLive = timeToLive
    self.timeColumn = timeColumn
  }

  public var description: String { "\(group):\(feature)" }
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

  /// The groups in the order in which they are first named.
  public var groups: [String] {
    var seen: Set<String> = []
    return features.map(\.group).filter { seen.insert($0).inserted }
  }
}
