public import JSON

extension FeatureGroup {
  /// The definition as docs/file-formats.md describes it.
  public var json: JSONValue {
    var object: JSONObject = [
      "id": .integer(Int64(id)), "name": .string(name), "version": .integer(Int64(version)),
      "record_identifiers": .array(recordIdentifiers.map(\.json)),
      "event_time": .string(eventTimeName), "features": .array(features.map(\.json)),
      "online": .bool(isOnline), "offline": .bool(isOffline),
    ]
    if case .microseconds(let length) = timeToLive { object["ttl_microseconds"] = .integer(length) }
    object["partitioning"] = .string(partitioning.rawValue)
    object["table_properties"] = .object(
      JSONObject(tableProperties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    return .object(object)
  }

  public init(json: JSONValue) throws(FeatureModelError) {
    let partitioningText = json["partitioning"]?.stringValue ?? "none"
    guard let partitioning = Partitioning(rawValue: partitioningText) else {
      throw FeatureModelError(.invalidDefinition, "unknown partitioning '\(partitioningText)'")
    }
    var properties: [String: String] = [:]
    for (key, value) in (json["table_properties"]?.objectValue ?? [:]).members {
      guard let text = value.stringValue else {
        throw FeatureModelError(.invalidDefinition, "table property '\(key)' is not a string")
      }
      properties[key] = text
    }
    var timeToLive = TimeToLive.infinite
    if let length = json["ttl_microseconds"], length != .null {
      guard let microseconds = length.int64Value else {
        throw FeatureModelError(.invalidDefinition, "'ttl_microseconds' is \(length.kind)")
      }
      timeToLive = .microseconds(microseconds)
    }
    try self.init(
      id: json.number("id"), name: json.text("name"), version: json.number("version"),
      recordIdentifiers: json.features("record_identifiers"),
      eventTimeName: json.text("event_time"),
      features: json.features("features"), isOnline: json.flag("online"),
      isOffline: json.flag("offline"), timeToLive: timeToLive, partitioning: partitioning,
      tableProperties: properties)
  }
}

extension Feature {
  fileprivate var json: JSONValue {
    [
      "name": .string(name), "type": .string(type.description),
      "since_version": .integer(Int64(sinceVersion)),
    ]
  }
}

extension FeatureView {
  public var json: JSONValue {
    [
      "name": .string(name),
      "features": .array(
        features.map {
          [
            "group": .string($0.group), "feature": .string($0.feature),
            "output_name": .string($0.outputName),
          ]
        }),
    ]
  }

  public init(json: JSONValue) throws(FeatureModelError) {
    var references: [FeatureReference] = []
    for element in json["features"]?.arrayValue ?? [] {
      references.append(
        FeatureReference(
          group: try element.text("group"), feature: try element.text("feature"),
          outputName: try element.text("output_name")))
    }
    try self.init(name: json.text("name"), features: references)
  }
}

extension JSONValue {
  fileprivate func text(_ key: String) throws(FeatureModelError) -> String {
    guard let value = self[key]?.stringValue else { throw missing(key, "a string") }
    return value
  }

  fileprivate func number(_ key: String) throws(FeatureModelError) -> UInt32 {
    guard let value = self[key]?.int64Value, let number = UInt32(exactly: value) else {
      throw missing(key, "a number")
    }
    return number
  }

  fileprivate func flag(_ key: String) throws(FeatureModelError) -> Bool {
    guard let value = self[key]?.boolValue else { throw missing(key, "true or false") }
    return value
  }

  fileprivate func features(_ key: String) throws(FeatureModelError) -> [Feature] {
    guard let elements = self[key]?.arrayValue else { throw missing(key, "an array") }
    var features: [Feature] = []
    for element in elements {
      features.append(
        Feature(
          try element.text("name"), try FeatureType(parsing: element.text("type")),
          sinceVersion: try element.number("since_version")))
    }
    return features
  }

  private func missing(_ key: String, _ expected: String) -> FeatureModelError {
    FeatureModelError(.invalidDefinition, "'\(key)' must be \(expected)")
  }
}
