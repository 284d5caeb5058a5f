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
      "readings:value,key=", "readings:value,key=:sensor", "readings:value,key=a,key=b",
    ] {
      do {
        _ = try store.featureReferences([text])
        Issue.record("accepted \(text)")
      } catch { #expect(error.code == .invalidArgument, "\(text): \(error)") }
    }
    #expect(
      try store.featureReferences(["readings:value=v,key=near", "readings:note,key=far:sensor"])
        == [
          FeatureReference(
            group: "readings", feature: "value", outputName: "v", joinKeys: ["sensor": "near"]),
          FeatureReference(group: "readings", feature: "note", joinKeys: ["sensor": "far"]),
        ])
    for text in [
      "reading:value", "readings:valu", "readings:", ":value", "readings:=v",
      "readings:value,key=near:sensors",
    ] {
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

  /// One group by two keys of the entity: online and in training sets.
  @Test func aGroupIsAskedForByAnyKeyOfTheEntity() throws {
    let fixture = try TrainingSetFixture()
    let store = fixture.store
    for (sensor, value) in [("a", 1), ("b", 2), ("c", 3)] {
      try fixture.put(sensor, 1, value)
      try fixture.put(sensor, 5, value * 10)
      try fixture.put(sensor, 1, value * 100, "others")
    }
    try store.flush()
    let features = [
      "readings:value=here,key=origin", "others:value=own", "readings:value=there,key=dest:sensor",
      "readings:note=text,key=origin",
    ]
    let view = try FeatureView(name: "trip", features: store.featureReferences(features))
    try store.createView(view)
    try store.close()

    // From the file again.
    let again = try FeatureStore.open(at: fixture.base.directory, options: OnlineGroupTests.manual)
    #expect(try again.view("trip") == view)
    let fields = ["origin": "a", "dest": "b", "sensor": "c"]
    let answers = try again.getFeatures("trip", fields: fields)
    #expect(answers.map(\.name) == ["here", "own", "there", "text"])
    #expect(answers.map(\.value) == [.long(10), .long(300), .long(20), .null])
    let then = try again.getFeatures(
      "trip", fields: fields, at: FeatureStore.moment(TrainingSetFixture.hour(2)),
      visibility: .event)
    #expect(then.map(\.value) == [.long(1), .long(300), .long(2), .null])
    for wrong in [["origin": "a", "sensor": "c"], fields.merging(["other": "x"]) { $1 }] {
      #expect(throws: FeatureStoreError.self) { try again.getFeatures("trip", fields: wrong) }
    }

    func texts(_ values: [String]) -> Column {
      var builder = BytesBuilder(.string)
      for value in values { builder.append(value) }
      return builder.finish()
    }
    let names = ["dest", "origin", "sensor"]
    let keys = RecordBatch(
      schema: Schema(names.map { Field($0, .string) }),
      columns: [texts(["b", "a", "x"]), texts(["a", "a", "c"]), texts(["c", "x", "a"])],
      rowCount: 3)
    let batch = try again.getFeatures("trip", keys: keys)
    #expect(TrainingSetFixture.text(batch.features) == ["10 300 20 -", "10 - 10 -", "30 100 - -"])
    #expect(batch.groups.map(\.name) == ["readings", "others", "readings"])
    #expect(batch.groups.map(\.keyColumns) == [["origin"], ["sensor"], ["dest"]])
    #expect(batch.groups[2].statuses == [.present, .present, .neverWritten])

    let spine = try fixture.write(
      "trips.csv", "origin,dest,sensor,t", "a,b,c,\(TrainingSetFixture.hour(2))",
      "b,a,c,\(TrainingSetFixture.hour(6))", "c,x,,\(TrainingSetFixture.hour(6))")
    var request = fixture.request(.files([spine]), features: features[0], features[1], features[2])
    let set = try again.trainingSet(request)
    #expect(
      try TrainingSetFixture.rows(set).map {
        $0.split(separator: " ").suffix(3).joined(separator: " ")
      }
        == ["1 300 2", "20 300 10", "30 - -"])
    #expect(set.report.groups.map(\.columns) == [["here"], ["own"], ["there"]])
    #expect(set.report.groups.map(\.foundCount) == [3, 2, 2])

    // What the view calls it may have yet another name in the spine; the record identifier's own is none of these.
    let renamed = try fixture.write(
      "renamed.csv", "origin,to,sensor,t", "a,b,c,\(TrainingSetFixture.hour(2))")
    request.spine = .files([renamed])
    request.keyColumns = ["dest": "to"]
    #expect(
      try TrainingSetFixture.rows(again.trainingSet(request)).map { $0.hasSuffix("1 300 2") }
        == [true])
    request.keyColumns = ["origins": "to"]
    #expect(throws: FeatureStoreError.self) { try again.trainingSet(request) }
    try again.close()
  }

  @Test func aViewByAKeyThatAGroupLacksIsRefused() throws {
    let (_, store) = try store()
    let view = try FeatureView(
      name: "v",
      features: [
        FeatureReference(group: "readings", feature: "value", joinKeys: ["sensors": "here"])
      ])
    #expect(throws: FeatureStoreError.self) { try store.createView(view) }
    try store.close()
  }
}
