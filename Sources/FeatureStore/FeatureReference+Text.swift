public import FeatureModel

extension FeatureStore {
  /// References from text: `group:feature`, `group:feature=name`, or `group:*` for all features of a group. With
  /// `,ttl=6h` behind it (or `,ttl=infinite`) the reference has a ttl of its own, with `,time=column` a time
  /// column of its own: `weather:temp=temp_then,ttl=2h,time=booked_at`.
  ///
  /// Throws `.notFound` for unknown groups and features, `.invalidArgument` for other text.
  public func featureReferences(
    _ texts: [String]
  ) throws(FeatureStoreError) -> [FeatureReference] {
    var references: [FeatureReference] = []
    for text in texts {
      var words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      let name = words.removeFirst()
      for var reference in try featureReferences(name, in: text) {
        for word in words { try reference.apply(word, in: text) }
        references.append(reference)
      }
    }
    return references
  }

  private func featureReferences(
    _ name: String, in text: String
  ) throws(FeatureStoreError) -> [FeatureReference] {
    let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
    guard parts.count == 2 else {
      throw FeatureStoreError(
        .invalidArgument, "'\(text)' is no feature: GROUP:FEATURE, GROUP:FEATURE=NAME or GROUP:*")
    }
    let group = try group(parts[0])
    guard parts[1] != "*" else {
      return group.features.map { FeatureReference(group: group.name, feature: $0.name) }
    }
    let names = parts[1].split(
      separator: "=", maxSplits: 1, omittingEmptySubsequences: false
    ).map(String.init)
    do {
      _ = try group.featureIndex(names[0])
    } catch { throw FeatureStoreError(error) }
    return [
      FeatureReference(
        group: group.name, feature: names[0], outputName: names.count == 2 ? names[1] : nil)
    ]
  }
}

extension FeatureReference {
  /// Takes in `ttl=...` or `time=...`.
  fileprivate mutating func apply(_ word: String, in text: String) throws(FeatureStoreError) {
    let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
    if parts.count == 2, parts[0] == "time" {
      timeColumn = parts[1]
    } else if parts.count == 2, parts[0] == "ttl", let length = TimeToLive(parsing: parts[1]) {
      timeToLive = length
    } else {
      throw FeatureStoreError(
        .invalidArgument,
        "'\(word)' in '\(text)' is neither ttl=DURATION (6h, 7d, infinite) nor time=COLUMN")
    }
  }
}
