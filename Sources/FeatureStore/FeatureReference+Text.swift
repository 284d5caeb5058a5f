public import FeatureModel

extension FeatureStore {
  /// References from text: `group:feature`, `group:feature=name`, or `group:*` for all features of a group. With
  /// `,ttl=6h` behind it (or `,ttl=infinite`) the reference has a ttl of its own, with `,time=column` a time
  /// column of its own: `weather:temp=temp_then,ttl=2h,time=booked_at`. With `,key=column` it is by another column
  /// than the record identifier's: `weather:temp=temp_there,key=destination`; where the key has several,
  /// `,key=column:identifier` for each.
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
        let group = try group(reference.group)
        for word in words { try reference.apply(word, in: text, group) }
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
  /// Takes in `ttl=...`, `time=...` or `key=...`.
  fileprivate mutating func apply(
    _ word: String, in text: String, _ group: FeatureGroup
  ) throws(FeatureStoreError) {
    let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
    if parts.count == 2, parts[0] == "time" {
      timeColumn = parts[1]
    } else if parts.count == 2, parts[0] == "ttl", let length = TimeToLive(parsing: parts[1]) {
      timeToLive = length
    } else if parts.count == 2, parts[0] == "key" {
      try apply(key: parts[1], in: text, group.recordIdentifiers.map(\.name))
    } else {
      throw FeatureStoreError(
        .invalidArgument,
        "'\(word)' in '\(text)' is neither ttl=DURATION (6h, 7d, infinite) nor time=COLUMN nor "
          + "key=COLUMN[:IDENTIFIER]")
    }
  }

  private mutating func apply(
    key: String, in text: String, _ identifiers: [String]
  ) throws(FeatureStoreError) {
    let halves = key.split(
      separator: ":", maxSplits: 1, omittingEmptySubsequences: false
    ).map(String.init)
    guard halves.count == 2 || identifiers.count == 1, !halves[0].isEmpty else {
      throw FeatureStoreError(
        .invalidArgument,
        "'key=\(key)' in '\(text)' does not say which identifier it is: key=COLUMN:IDENTIFIER, of "
          + identifiers.joined(separator: ", "))
    }
    let identifier = halves.count == 2 ? halves[1] : identifiers[0]
    guard identifiers.contains(identifier) else {
      throw Registry.unknown(
        "record identifier of '\(group)'", identifier, among: identifiers)
    }
    guard joinKeys.updateValue(halves[0], forKey: identifier) == nil else {
      throw FeatureStoreError(.invalidArgument, "'\(text)' says twice what '\(identifier)' is")
    }
  }
}
