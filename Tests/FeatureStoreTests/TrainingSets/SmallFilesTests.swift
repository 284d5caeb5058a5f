import FeatureModel
import FeatureStore
import Testing

/// Small files whose winners' values are kept when they are read for the first time, as far as there is room: the same
/// rows in any case.
@Suite struct SmallFilesTests {
  /// Two files of different columns, so that their rows come apart; the one with the older winner comes first.
  private func fixture() throws -> TrainingSetFixture {
    let fixture = try TrainingSetFixture()
    try fixture.put("a", 1, 1)
    try fixture.put("b", 20, 2)
    _ = try fixture.store.flush()
    try fixture.store.addFeatures([Feature("extra", .long)], to: "readings")
    for (sensor, hour, extra) in [("a", 5, 30), ("b", 19, 40)] {
      try fixture.store.put(
        "readings",
        fields: [
          "sensor": sensor, "at": TrainingSetFixture.hour(hour), "value": "\(hour)",
          "extra": "\(extra)",
        ])
    }
    _ = try fixture.store.flush()
    return fixture
  }

  private func rows(
    _ fixture: TrainingSetFixture, _ features: [String], _ moments: [(String, Int)]
  ) throws -> [String] {
    let lines = moments.map { "\($0.0),\(TrainingSetFixture.hour($0.1))\n" }.joined()
    let path = try fixture.write("spine.csv", "sensor,t\n" + lines)
    var request = fixture.request(.files([path]))
    request.features = features
    return try fixture.rows(request).map { row in
      row.split(separator: " ").suffix(features.count).joined(separator: " ")
    }
  }

  /// One moment, so one row is kept: of the first file, whose row then loses.
  @Test func whatIsNotKeptForWantOfRoomIsReadLater() throws {
    let fixture = try fixture()
    #expect(try rows(fixture, ["readings:value"], [("a", 6)]) == ["5"])
    #expect(try rows(fixture, ["readings:value", "readings:note"], [("a", 6)]) == ["5 -"])
  }

  /// Two moments, so both rows of a key are kept, of which one loses.
  @Test func whatWasKeptAndLostIsLeftOut() throws {
    let fixture = try fixture()
    #expect(try rows(fixture, ["readings:value"], [("a", 6), ("b", 23)]) == ["5", "2"])
    #expect(
      try rows(fixture, ["readings:value"], [("a", 2), ("a", 6), ("b", 19), ("b", 23)])
        == ["1", "5", "19", "2"])
  }

  @Test func aFeatureThatAFileIsTooOldForIsNull() throws {
    let fixture = try fixture()
    #expect(
      try rows(
        fixture, ["readings:extra", "readings:value"], [("a", 2), ("a", 6), ("b", 19), ("b", 23)])
        == ["- 1", "30 5", "40 19", "- 2"])
  }
}
