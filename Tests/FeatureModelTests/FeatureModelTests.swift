import Columnar
import FeatureModel
import JSON
import Testing

@Suite struct DefinitionTests {
  static let features: [Feature] = [
    Feature("flag", .boolean), Feature("count", .int), Feature("total", .long),
    Feature("ratio", .float), Feature("mean", .double), Feature("text", .string),
    Feature("blob", .binary), Feature("day", .date), Feature("seen", .timestamp),
    Feature("price", .decimal(precision: 20, scale: 2)), Feature("token", .uuid),
    Feature("embedding", .list(element: .float, dimension: 3)),
    Feature("tags", .list(element: .string, dimension: nil)),
    Feature("flags", .list(element: .boolean, dimension: nil)),
  ]

  static func group() throws -> FeatureGroup {
    try FeatureGroup(
      id: 1, name: "all_types",
      recordIdentifiers: [Feature("user", .string), Feature("shop", .long)], eventTimeName: "at",
      features: features, timeToLive: .microseconds(60_000_000), partitioning: .day)
  }

  @Test func definitionsSurviveJSON() throws {
    var group = try Self.group()
    group.dataDelayMicroseconds = 900_000_000
    group = try group.adding([Feature("extra", .double)])
    #expect(group.dataDelayMicroseconds == 900_000_000)
    #expect(try FeatureGroup(json: JSONValue(parsing: group.json.text())) == group)
    let view = try FeatureView(
      name: "v",
      features: [
        FeatureReference(group: "a", feature: "x"),
        FeatureReference(group: "b", feature: "x", outputName: "b_x"),
        FeatureReference(
          group: "b", feature: "x", outputName: "b_then", timeToLive: .microseconds(0),
          timeColumn: "booked_at"),
        FeatureReference(group: "b", feature: "x", outputName: "b_ever", timeToLive: .infinite),
      ])
    #expect(try FeatureView(json: JSONValue(parsing: view.json.text())) == view)
  }

  @Test(arguments: [
    "", "1a", "a-b", "a b", "naïve", "a/../b", String(repeating: "a", count: 65), "lsn",
    "Write_Time",
  ])
  func badNamesAreRefused(name: String) throws {
    #expect(throws: FeatureModelError.self) {
      try FeatureGroup(
        id: 1, name: "g", recordIdentifiers: [Feature("k", .long)], eventTimeName: "t",
        features: [Feature(name, .long)])
    }
  }

  @Test func identifiersAreNeverFloatingPoint() {
    #expect(throws: FeatureModelError.self) {
      try FeatureGroup(
        id: 1, name: "g", recordIdentifiers: [Feature("k", .double)], eventTimeName: "t",
        features: [Feature("f", .long)])
    }
  }

  @Test func twoColumnsNeverShareAName() {
    #expect(throws: FeatureModelError.self) {
      try FeatureGroup(
        id: 1, name: "g", recordIdentifiers: [Feature("k", .long)], eventTimeName: "t",
        features: [Feature("K", .long)])
    }
    #expect(throws: FeatureModelError.self) {
      try FeatureView(
        name: "v",
        features: [
          FeatureReference(group: "a", feature: "x"), FeatureReference(group: "b", feature: "x"),
        ])
    }
  }

  @Test func unknownFeaturesNameTheNearest() throws {
    let group = try Self.group()
    do {
      _ = try group.featureIndex("embeding")
      Issue.record("found")
    } catch { #expect(error.message.contains("did you mean 'embedding'?")) }
  }

  @Test(arguments: Self.features.map(\.type)) func typesParseAsTheyArePrinted(
    type: FeatureType
  ) throws {
    #expect(try FeatureType(parsing: type.description) == type)
  }

  @Test(arguments: [
    "", "integer", "decimal", "decimal(0,0)", "decimal(39,1)", "decimal(5,6)", "list",
    "list<list<int>>",
    "list<int>[0]", "list<int>[x]", "list<int>[3", "list<nope>",
  ])
  func badTypesAreRefused(text: String) {
    #expect(throws: FeatureModelError.self) { try FeatureType(parsing: text) }
  }

  @Test func timeToLiveSaturates() {
    #expect(TimeToLive.microseconds(10).oldestEventTime(at: .min + 5) == .min)
    #expect(TimeToLive.microseconds(0).oldestEventTime(at: 7) == 7)
    #expect(TimeToLive.infinite.oldestEventTime(at: 7) == .min)
  }

  @Test func lengthsOfTimeAreReadAndWritten() {
    let texts: [(String, Int64)] = [
      ("90s", 90_000_000), ("15m", 900_000_000), ("6h", 21_600_000_000), ("7d", 604_800_000_000),
      ("250ms", 250_000), ("10us", 10), ("0", 0), ("0s", 0),
    ]
    for (text, microseconds) in texts {
      #expect(DurationText.microseconds(text) == microseconds, "\(text)")
      #expect(DurationText.microseconds(DurationText.text(microseconds)) == microseconds)
    }
    for text in ["", "6", "h", "-1h", "6 h", "1.5h", "9223372036854775807d", "infinite"] {
      #expect(DurationText.microseconds(text) == nil, "\(text)")
    }
    #expect(TimeToLive(parsing: "infinite") == .infinite)
    #expect(TimeToLive(parsing: "90s")?.description == "90s")
    #expect(TimeToLive(parsing: "soon") == nil)
    #expect(TimeToLive.microseconds(5) < .infinite)
    #expect(TimeToLive.microseconds(5) < .microseconds(6))
    #expect(!(TimeToLive.infinite < .infinite))
  }

  @Test func negativeLengthsAreRefused() throws {
    let reference = FeatureReference(group: "a", feature: "x", timeToLive: .microseconds(-1))
    #expect(throws: FeatureModelError.self) { try FeatureView(name: "v", features: [reference]) }
    #expect(throws: FeatureModelError.self) {
      try FeatureGroup(
        id: 1, name: "g", recordIdentifiers: [Feature("a", .int)], eventTimeName: "at",
        features: [Feature("b", .int)], dataDelayMicroseconds: -1)
    }
  }
}
