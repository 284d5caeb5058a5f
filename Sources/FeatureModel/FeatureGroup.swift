/// A named, typed column of a feature group.
public struct Feature: Hashable, Sendable {
  public var name: String
  public var type: FeatureType
  /// The version of the group's definition that brought this feature; older records answer null.
  public var sinceVersion: UInt32

  public init(_ name: String, _ type: FeatureType, sinceVersion: UInt32 = 1) {
    self.name = name
    self.type = type
    self.sinceVersion = sinceVersion
  }
}

/// How long a value counts after its event time, online and in training sets alike.
public enum TimeToLive: Hashable, Sendable {
  /// Values count for ever. What a definition without a ttl means.
  case infinite
  /// Values count up to and including this many microseconds after their event time; zero means
  /// at their event time only.
  case microseconds(Int64)

  /// The oldest event time that still counts at `moment`; saturating.
  public func oldestEventTime(at moment: Int64) -> Int64 {
    switch self {
    case .infinite: return .min
    case .microseconds(let length):
      let (time, overflow) = moment.subtractingReportingOverflow(length)
      return overflow ? .min : time
    }
  }
}

/// How the offline table is partitioned, by event time.
public enum Partitioning: String, Hashable, Sendable, CaseIterable {
  case none, hour, day, month, year
}

/// The definition of a feature group: who its records are about, when they happened, what they say.
///
/// Definitions are versioned: adding features makes a new version, and records written under an older
/// one answer null for them. Nothing else can change.
public struct FeatureGroup: Hashable, Sendable {
  /// Unique in the store, never used again.
  public var id: UInt32
  public var name: String
  /// Counted from 1.
  public var version: UInt32
  /// The entity key: one or more columns, never null.
  public var recordIdentifiers: [Feature]
  /// The name of the event time column, a timestamp in UTC with microseconds.
  public var eventTimeName: String
  public var features: [Feature]
  public var isOnline: Bool
  public var isOffline: Bool
  public var timeToLive: TimeToLive
  public var partitioning: Partitioning
  /// Properties for the Iceberg table, beyond those that the store sets.
  public var tableProperties: [String: String]
  /// How long after its event a record is known, in microseconds: what training sets wait for. Zero unless the
  /// source says otherwise (a nightly export, a label that matures). Online a record answers once it is there.
  public var dataDelayMicroseconds: Int64

  /// Validates the definition; throws what is wrong with it.
  public init(
    id: UInt32, name: String, version: UInt32 = 1, recordIdentifiers: [Feature],
    eventTimeName: String, features: [Feature], isOnline: Bool = true, isOffline: Bool = true,
    timeToLive: TimeToLive = .infinite, partitioning: Partitioning = .none,
    tableProperties: [String: String] = [:], dataDelayMicroseconds: Int64 = 0
  ) throws(FeatureModelError) {
    self.id = id
    self.name = name
    self.version = version
    self.recordIdentifiers = recordIdentifiers
    self.eventTimeName = eventTimeName
    self.features = features
    self.isOnline = isOnline
    self.isOffline = isOffline
    self.timeToLive = timeToLive
    self.partitioning = partitioning
    self.tableProperties = tableProperties
    self.dataDelayMicroseconds = dataDelayMicroseconds
    try validate()
  }

  /// The offline column for records that expire by themselves. A reserved name, but for the groups that had
  /// a column of that name before it was.
  public static let expiryName = "expires_at"

  /// Whether the offline table has that column, so that records may expire by themselves: not in a group
  /// with a column of its own of that name.
  public var hasExpiryColumn: Bool {
    let own = recordIdentifiers.map(\.name) + [eventTimeName] + features.map(\.name)
    return !own.contains { $0.lowercased() == Self.expiryName }
  }

  /// The most columns that one group may have.
  public static let maximumColumnCount = 10_000

  private func validate() throws(FeatureModelError) {
    try Name.validate(name, as: "feature group")
    func refuse(_ message: String) -> FeatureModelError {
      FeatureModelError(.invalidDefinition, "feature group '\(name)': \(message)")
    }
    guard !recordIdentifiers.isEmpty else {
      throw refuse("at least one record identifier is needed")
    }
    guard !features.isEmpty else { throw refuse("at least one feature is needed") }
    guard isOnline || isOffline else { throw refuse("neither online nor offline") }
    guard recordIdentifiers.count + features.count < FeatureGroup.maximumColumnCount else {
      throw refuse("more than \(FeatureGroup.maximumColumnCount) columns")
    }
    if case .microseconds(let length) = timeToLive, length < 0 { throw refuse("a negative ttl") }
    guard dataDelayMicroseconds >= 0 else { throw refuse("a negative data delay") }
    var seen: Set<String> = []
    try Name.validateColumn(eventTimeName, as: "event time")
    seen.insert(eventTimeName.lowercased())
    for identifier in recordIdentifiers {
      try Name.validateColumn(identifier.name, as: "record identifier")
      guard identifier.type.canIdentifyRecords else {
        throw refuse("'\(identifier.name)' of type \(identifier.type) cannot identify records")
      }
      guard seen.insert(identifier.name.lowercased()).inserted else {
        throw refuse("the name '\(identifier.name)' is used twice")
      }
    }
    for feature in features {
      try Name.validateColumn(feature.name, as: "feature")
      guard seen.insert(feature.name.lowercased()).inserted else {
        throw refuse("the name '\(feature.name)' is used twice (names differ in more than case)")
      }
    }
  }

  /// The next version of this definition, with more features.
  public func adding(_ added: [Feature]) throws(FeatureModelError) -> FeatureGroup {
    try FeatureGroup(
      id: id, name: name, version: version + 1, recordIdentifiers: recordIdentifiers,
      eventTimeName: eventTimeName,
      features: features + added.map { Feature($0.name, $0.type, sinceVersion: version + 1) },
      isOnline: isOnline, isOffline: isOffline, timeToLive: timeToLive, partitioning: partitioning,
      tableProperties: tableProperties, dataDelayMicroseconds: dataDelayMicroseconds)
  }

  /// The features of an older version, which are the first ones of this.
  public func features(ofVersion version: UInt32) -> ArraySlice<Feature> {
    features.prefix { $0.sinceVersion <= version }
  }

  /// The position of a feature among `features`; an error that names the nearest one otherwise.
  public func featureIndex(_ name: String) throws(FeatureModelError) -> Int {
    if let index = features.firstIndex(where: { $0.name == name }) { return index }
    let nearest = NearestName.find(name, in: features.map(\.name))
    throw FeatureModelError(
      .unknownFeature,
      "feature group '\(self.name)' has no feature '\(name)'"
        + (nearest.map { "; did you mean '\($0)'?" } ?? "; it has \(listed)"), column: name)
  }

  private var listed: String {
    features.prefix(12).map(\.name).joined(separator: ", ") + (features.count > 12 ? ", ..." : "")
  }
}
