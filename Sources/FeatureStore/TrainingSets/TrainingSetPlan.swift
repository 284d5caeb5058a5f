internal import Columnar
internal import FeatureModel
internal import PointInTime

/// A request with its names looked up: which features of which groups, at which moments of the spine.
struct TrainingSetPlan {
  /// The features of one group that are asked for by the same keys at the same moments.
  struct Part {
    var group: FeatureGroup
    var timeColumn: String
    /// The spine's columns for the record identifiers.
    var keyColumns: [String]
    var references: [FeatureReference]
    /// Where the references' columns are among the training set's features.
    var places: [Int]
  }

  let references: [FeatureReference]
  let parts: [Part]
  /// The type of each reference's column.
  let types: [DataType]

  /// - Parameter again: the features of a training set that is made again, whatever its view is now.
  init(
    _ request: TrainingSetRequest, store: FeatureStore, again features: [FeatureReference]? = nil
  ) throws {
    if let features {
      references = features
    } else if let view = request.view {
      guard request.features.isEmpty else {
        throw FeatureStoreError(.invalidArgument, "a view and features at the same time")
      }
      references = try store.view(view).features
    } else {
      references = try store.featureReferences(request.features)
      _ = try FeatureView(name: "training_set", features: references)
    }
    let named = Set(references.map(\.group))
    for name in (Array(request.timeColumns.keys) + Array(request.dataDelays.keys)).sorted()
    where !named.contains(name) {
      throw Registry.unknown("feature group of the training set", name, among: named.sorted())
    }
    for (group, delay) in request.dataDelays where delay < 0 {
      throw FeatureStoreError(.invalidArgument, "the data delay of '\(group)' is negative")
    }
    let mainTime = try Self.timeColumn(request, store)
    var parts: [Part] = []
    var types: [DataType] = []
    /// As the references call them.
    var identifiers: Set<String> = []
    for (place, reference) in references.enumerated() {
      var group = try store.group(reference.group)
      types.append(group.features[try group.featureIndex(reference.feature)].type.dataType)
      group.dataDelayMicroseconds =
        request.dataDelays[group.name] ?? group.dataDelayMicroseconds
      let time = reference.timeColumn ?? request.timeColumns[group.name] ?? mainTime
      let names = group.keyColumns(reference.joinKeys)
      identifiers.formUnion(names)
      let keys = names.map { request.keyColumns[$0] ?? $0 }
      let index = parts.firstIndex {
        $0.group.name == group.name && $0.timeColumn == time && $0.keyColumns == keys
      }
      if let index {
        parts[index].references.append(reference)
        parts[index].places.append(place)
      } else {
        parts.append(
          Part(
            group: group, timeColumn: time, keyColumns: keys, references: [reference],
            places: [place]))
      }
    }
    for name in request.keyColumns.keys.sorted() where !identifiers.contains(name) {
      throw Registry.unknown("record identifier", name, among: identifiers.sorted())
    }
    self.parts = parts
    self.types = types
  }

  /// The spine's time column, unless something has one of its own.
  static func timeColumn(_ request: TrainingSetRequest, _ store: FeatureStore) throws -> String {
    guard case .group(let name, _, _) = request.spine else { return request.timeColumn }
    return try store.group(name).eventTimeName
  }

  /// The columns of keys and times, and what they must be read as.
  func keysAndTimes() throws(FeatureStoreError) -> Schema {
    var fields: [Field] = []
    func add(_ name: String, _ type: DataType) throws(FeatureStoreError) {
      if let known = fields.first(where: { $0.name == name }) {
        guard known.type == type else {
          throw FeatureStoreError(
            .invalidArgument,
            "the spine's column '\(name)' would have to be \(known.type) and \(type)")
        }
        return
      }
      fields.append(Field(name, type))
    }
    for part in parts {
      try add(part.timeColumn, .timestamp(isUTC: true))
      for (name, identifier) in zip(part.keyColumns, part.group.recordIdentifiers) {
        try add(name, identifier.type.dataType)
      }
    }
    return Schema(fields)
  }
}
