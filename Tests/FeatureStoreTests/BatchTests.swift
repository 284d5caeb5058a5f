import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Testing

/// Columns in, columns out.
@Suite struct BatchTests {
  private func times(_ count: Int) -> Column {
    var builder = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
    for row in 0..<count { builder.append(1_767_225_600_000_000 + Int64(row)) }
    return builder.finish()
  }

  private func strings(_ values: [String?]) -> Column {
    var builder = BytesBuilder(.string)
    for value in values {
      if let value { builder.append(value) } else { builder.appendNull() }
    }
    return builder.finish()
  }

  private func longs(_ values: [Int64?]) -> Column {
    var builder = FixedWidthBuilder(.int64, zero: Int64(0))
    for value in values {
      if let value { builder.append(value) } else { builder.appendNull() }
    }
    return builder.finish()
  }

  private func batch(_ columns: [(String, Column)]) -> RecordBatch {
    RecordBatch(
      schema: Schema(columns.map { Field($0.0, $0.1.type) }), columns: columns.map(\.1),
      rowCount: columns[0].1.count)
  }

  private func store(_ fixture: StoreFixture) throws -> FeatureStore {
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    return store
  }

  @Test func aViewOverTwoGroupsAnswersManyKeysInOneCall() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture)
    try store.createGroup(
      FeatureGroup(
        id: 0, name: "places", recordIdentifiers: [Feature("place", .long)], eventTimeName: "at",
        features: [Feature("embedding", .list(element: .float, dimension: 2))]))
    try store.createView(
      FeatureView(
        name: "both",
        features: [
          FeatureReference(group: "places", feature: "embedding"),
          FeatureReference(group: "readings", feature: "note"),
          FeatureReference(group: "readings", feature: "value", outputName: "v"),
        ]))
    let receipt = try store.put(
      "readings",
      batch([
        ("sensor", strings(["a", "b", "c"])), ("at", times(3)), ("value", longs([1, nil, 3])),
      ]))
    #expect(receipt.count == 3 && receipt.lastLSN == receipt.firstLSN + 2)
    try store.delete("readings", key: ["sensor": "c"])
    try store.put(
      "places", fields: ["place": "7", "at": "2026-01-01T00:00:00Z", "embedding": "[0.5,-1]"])

    let answer = try store.getFeatures(
      "both",
      keys: batch([
        ("sensor", strings(["c", "b", "x", "a"])), ("place", longs([7, 8, 7, 7])),
      ]))
    #expect(answer.features.schema.fields.map(\.name) == ["embedding", "note", "v"])
    #expect(answer.groups.map(\.name) == ["places", "readings"])
    #expect(answer.groups[0].statuses == [.present, .neverWritten, .present, .present])
    #expect(answer.groups[1].statuses == [.deleted, .present, .neverWritten, .present])
    let values = answer.features.columns[2]
    #expect((0..<4).map { values.isNull($0) } == [true, true, true, false])
    #expect(values.values(as: Int64.self)[3] == 1)
    let embeddings = answer.features.columns[0]
    #expect(embeddings.isNull(1) && !embeddings.isNull(0))
    let elements = embeddings.children[0]
    #expect(elements.values(as: Float.self)[1] == -1)
    let lsns = answer.groups[1].lsns
    #expect(lsns.values(as: Int64.self)[3] == receipt.firstLSN)
    #expect(answer.groups[1].eventTimes.isNull(2))
    try store.close()
  }

  @Test func aBatchThatDoesNotFitIsRefusedWholly() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture)
    let wrong: [(RecordBatch, FeatureStoreError.Code, String)] = [
      (batch([("sensor", strings(["a", nil])), ("at", times(2))]), .invalidInput, "row 1"),
      (batch([("sensor", strings(["a"]))]), .invalidInput, "'at'"),
      (batch([("sensor", longs([1])), ("at", times(1))]), .invalidInput, "'sensor'"),
      (
        batch([("sensor", strings(["a"])), ("at", times(1)), ("valeu", longs([1]))]), .notFound,
        "'value'"
      ),
      (batch([("sensor", strings([])), ("at", times(0))]), .invalidArgument, "rows"),
    ]
    for (batch, code, text) in wrong {
      do {
        try store.put("readings", batch)
        Issue.record("accepted \(text)")
      } catch {
        #expect(error.code == code && error.message.contains(text), "\(error)")
      }
    }
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .neverWritten)
    do {
      _ = try store.get("readings", keys: batch([("sensor", strings(["a", nil]))]))
      Issue.record("a null key was looked up")
    } catch { #expect(error.code == .invalidInput) }
    try store.close()
  }
}
