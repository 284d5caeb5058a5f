import Columnar
import FeatureModel
import FeatureStore
import Storage
import Testing

/// References to features: as text, in views, and what their own ttl means online.
@Suite struct ReferenceTests {
  private func store() throws -> (StoreFixture, FeatureStore) {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory, options: OnlineGroupTests.manual)
    try store.createGroup(StoreFixture.group(timeToLive: .microseconds(86_400_000_000_000)))
    return (fixture, store)
  }

  @Test func referencesAreReadFromText() throws {
    let (_, store) = try store()
    let references = try store.featureReferences([
      "readings:value", "readings:value=v,ttl=6h,time=booked_at", "readings:*,ttl=infinite",
      "readings:note,time=t",
    ])
    #expect(
      references == [
        FeatureReference(group: "readings", feature: "value"),
        FeatureReference(
          group: "readings", feature: "value", outputName: "v",
          timeToLive: .microseconds(21_600_000_000), timeColumn: "booked_at"),
        FeatureReference(group: "readings", feature: "value", timeToLive: .infinite),
        FeatureReference(group: "readings", feature: "note", timeToLive: .infinite),
        FeatureReference(group: "readings", feature: "note", timeColumn: "t"),
      ])
    for text in [
      "value", "readings:value,", "readings:value,ttl", "readings:value,ttl=6",
      "readings:value,ttl=-6h", "readings:value,time=", "readings:value,age=6h", "readings:value,=",
    ] {
      do {
        _ = try store.featureReferences([text])
        Issue.record("accepted \(text)")
      } catch { #expect(error.code == .invalidArgument, "\(text): \(error)") }
    }
    for text in ["reading:value", "readings:valu", "readings:", ":value", "readings:=v"] {
      #expect(throws: FeatureStoreError.self, "\(text)") { try store.featureReferences([text]) }
    }
    try store.close()
  }

  @Test func aViewsOwnTimeToLiveCountsOnline() throws {
    let (fixture, store) = try store()
    let now = SystemClock().nowMicroseconds()
    let readings = try store.online("readings")
    try readings.put(readings.key("a"), eventTime: now - 3_600_000_000) { row in
      row.set(0, 7)
      row.set(1, "n")
    }
    let view = try FeatureView(
      name: "v",
      features: store.featureReferences([
        "readings:value,ttl=30m", "readings:value=long,ttl=2h", "readings:note",
      ]))
    try store.createView(view)
    let answers = try store.getFeatures("v", fields: ["sensor": "a"])
    #expect(answers.map(\.status) == [.expired, .present, .present])
    #expect(answers.map(\.value) == [.null, .long(7), .string("n")])
    var keys = BytesBuilder(.string)
    keys.append("a")
    let batch = try store.getFeatures(
      "v",
      keys: RecordBatch(
        schema: Schema([Field("sensor", .string)]), columns: [keys.finish()], rowCount: 1))
    #expect(batch.features.columns.map { $0.isNull(0) } == [true, false, false])

    // Online a value goes after the group's ttl, whatever a view would like.
    do {
      try store.createView(
        FeatureView(
          name: "w", features: store.featureReferences(["readings:value,ttl=infinite"])))
      Issue.record("accepted a ttl beyond the group's")
    } catch { #expect((error as? FeatureStoreError)?.code == .invalidArgument) }
    try store.close()
    #expect(try FeatureStore.open(at: fixture.directory, access: .offline).view("v") == view)
  }
}
