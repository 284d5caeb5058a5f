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
    if dataDelayMicroseconds != 0 {
      object["data_delay_microseconds"] = .integer(dataDelayMicroseconds)
    }
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
    let timeToLive = try json.microseconds("ttl_microseconds")
    let delay = try json.microseconds("data_delay_microseconds")
    try self.init(
      id: json.number("id"), name: json.text("name"), version: json.number("version"),
      recordIdentifiers: json.features("record_identifiers"),
      eventTimeName: json.text("event_time"),
      features: json.features("features"), isOnline: json.flag("online"),
      isOffline: json.flag("offline"),
      timeToLive: timeToLive.map { .microseconds($0) } ?? .infinite, partitioning: partitioning,
      tableProperties: properties, dataDelayMicroseconds: delay ?? 0)
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
    ["name": .string(name), "features": .array(features.map(\.json))]
  }

  public init(json: JSONValue) throws(FeatureModelError) {
    var references: [FeatureReference] = []
    for element in json["features"]?.arrayValue ?? [] {
      references.append(try FeatureReference(json: element))
    }
    try self.init(name: json.text("name"), features: references)
  }
}

extension FeatureReference {
  /// The reference as docs/file-formats.md describes it.
  public var json: JSONValue {
    var object: JSONObject = [
      "group": .string(group), "feature": .string(feature), "output_name": .string(outputName),
    ]
    switch timeToLive {
    case nil: break
    case .infinite: object["ttl_microseconds"] = .string("infinite")
    case .microseconds(let length): object["ttl_microseconds"] = .integer(length)
    }
    if let timeColumn { object["time_column"] = .string(timeColumn) }
    if !joinKeys.isEmpty {
      object["join_keys"] = .object(
        JSONObject(joinKeys.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
    return .object(object)
  }

  public init(json: JSONValue) throws(FeatureModelError) {
    var timeToLive: TimeToLive?
    if json["ttl_microseconds"]?.stringValue == "infinite" {
      timeToLive = .infinite
    } else {
      timeToLive = try json.microseconds("ttl_microseconds").map { .microseconds($0) }
    }
    var joinKeys: [String: String] = [:]
    if let json = json["join_keys"] {
      for name in json.objectValue?.keys ?? [] { joinKeys[name] = try json.text(name) }
    }
    self.init(
      group: try json.text("group"), feature: try json.text("feature"),
      outputName: try json.text("output_name"), timeToLive: timeToLive,
      timeColumn: json["time_column"] == nil ? nil : try json.text("time_column"),
      joinKeys: joinKeys)
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

  /// A length of time; nil when it is absent or null.
  fileprivate func microseconds(_ key: String) throws(FeatureModelError) -> Int64? {
    guard let value = self[key], value != .null else { return nil }
    guard let length = value.int64Value else {
      throw FeatureModelError(.invalidDefinition, "'\(key)' is \(value.kind)")
    }
    return length
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
