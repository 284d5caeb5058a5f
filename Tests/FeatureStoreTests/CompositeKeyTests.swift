import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Testing

/// Entities that two identifiers of different types name, and features that are lists: the whole way.
@Suite struct CompositeKeyTests {
  private func store(_ fixture: StoreFixture) throws -> FeatureStore {
    let store = try FeatureStore.open(at: fixture.directory, options: OnlineGroupTests.manual)
    try store.createGroup(
      FeatureGroup(
        id: 0, name: "stock",
        recordIdentifiers: [Feature("shop", .string), Feature("article", .long)],
        eventTimeName: "at",
        features: [
          Feature("count", .int), Feature("tags", .list(element: .string, dimension: nil)),
          Feature("vector", .list(element: .float, dimension: 3)),
        ]))
    return store
  }

  private func text(_ shop: String, _ article: Int) -> [String: String] {
    ["shop": shop, "article": "\(article)"]
  }

  private func put(
    _ store: FeatureStore, _ shop: String, _ article: Int, _ count: Int
  ) throws -> Int64 {
    var fields = text(shop, article)
    fields["at"] = "2026-01-01T00:00:00Z"
    fields["count"] = "\(count)"
    fields["tags"] = "[\"new\",\"\",\"röt\"]"
    fields["vector"] = "[\(count),0.5,-1]"
    return try store.put("stock", fields: fields).lastLSN
  }

  private func count(_ store: FeatureStore, _ shop: String, _ article: Int) throws -> FeatureValue {
    try store.get("stock", fields: text(shop, article), features: ["count"])[0].value
  }

  private func values(_ count: Int) -> [FeatureValue] {
    [
      .int(Int32(count)), .list([.string("new"), .string(""), .string("röt")]),
      .list([.float(Float(count)), .float(0.5), .float(-1)]),
    ]
  }

  @Test func eachPartOfTheKeyMayHaveAnotherName() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture)
    for (number, key) in [("a", 1), ("a", 2), ("b", 1)].enumerated() {
      _ = try put(store, key.0, key.1, number)
    }
    try store.createView(
      FeatureView(
        name: "both",
        features: store.featureReferences([
          "stock:count", "stock:count=other,key=branch:shop",
          "stock:count=swapped,key=branch:shop,key=second:article",
        ])))
    let fields = ["shop": "a", "article": "1", "branch": "b", "second": "2"]
    #expect(
      try store.getFeatures("both", fields: fields).map(\.value) == [.int(0), .int(2), .null])
    do {
      _ = try store.featureReferences(["stock:count,key=branch"])
      Issue.record("accepted a key that does not say of what")
    } catch { #expect(error.code == .invalidArgument) }
    try store.close()
  }

  @Test func everyPartOfTheKeyCounts() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture)
    for (number, key) in [("a", 1), ("a", 2), ("b", 1), ("a1", 1)].enumerated() {
      _ = try put(store, key.0, key.1, number)
    }
    #expect(try store.get("stock", fields: text("a", 2)).map(\.value) == values(1))
    #expect(try count(store, "a", 1) == .int(0) && count(store, "a1", 1) == .int(3))
    #expect(try count(store, "b", 2) == .null)
    let stock = try store.online("stock")
    let typed = try stock.key(.string("b"), .long(1))
    #expect(
      try typed
        == stock.key {
          $0.append("b")
          $0.append(1)
        })
    #expect(try stock.withRecord(typed) { try $0.int32(0) } == 2)
    #expect(try stock.get(typed).map(\.value) == values(2))
    for wrong in [["shop": "a"], ["shop": "a", "article": "one"]] {
      #expect(throws: FeatureStoreError.self) { try store.get("stock", fields: wrong) }
    }
    #expect(throws: FeatureStoreError.self) { try stock.key(.long(1), .string("b")) }
    try store.close()
  }

  @Test func batchesDeletesAndPurgesTakeTheWholeKey() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture)
    let stock = try store.online("stock")
    var batch = stock.newBatch()
    for article in 0..<20 {
      for shop in ["a", "b"] {
        try batch.put(stock.key(.string(shop), .long(Int64(article))), eventTime: 5) { row in
          row.set(0, article)
          row.set(1, .list([.string(shop)]))
          row.set(2, [Float(article), 0, 1])
        }
      }
    }
    try stock.write(batch)
    try store.delete("stock", key: text("a", 3))
    try store.purge("stock", key: text("b", 4))
    try stock.delete([stock.key(.string("a"), .long(5)), stock.key(.string("b"), .long(6))])

    var (shops, articles) = (BytesBuilder(.string), FixedWidthBuilder(.int64, zero: Int64(0)))
    for article in 0..<20 {
      for shop in ["a", "b"] {
        shops.append(shop)
        articles.append(Int64(article))
      }
    }
    let columns = [articles.finish(), shops.finish()]
    let keys = RecordBatch(
      schema: Schema([Field("article", columns[0].type), Field("shop", columns[1].type)]),
      columns: columns, rowCount: 40)
    let answer = try store.get("stock", keys: keys, features: ["vector", "count"])
    let (vectors, counts) = (answer.features.columns[0], answer.features.columns[1])
    let elements = vectors.children[0]
    for row in 0..<40 {
      let (shop, article) = (row % 2 == 0 ? "a" : "b", row / 2)
      let gone = [("a", 3), ("b", 4), ("a", 5), ("b", 6)].contains { $0 == (shop, article) }
      #expect(counts.isNull(row) == gone && vectors.isNull(row) == gone)
      guard !gone else { continue }
      #expect(counts.values(as: Int32.self)[row] == Int32(article))
      #expect(elements.values(as: Float.self)[Int(vectors.offsets[row])] == Float(article))
    }
    let statuses = answer.groups[0].statuses
    #expect(statuses[6] == .deleted && statuses[9] == .neverWritten && statuses[10] == .deleted)
    try store.close()
  }

  @Test func recordsGoOfflineAndComeBack() throws {
    let fixture = try StoreFixture()
    var store = try store(fixture)
    let first = try put(store, "a", 1, 1)
    _ = try put(store, "a", 2, 2)
    try store.delete("stock", key: text("a", 2))
    #expect(try store.flush().map(\.recordCount) == [3])
    for article in 1...2 { try store.purge("stock", key: text("a", article)) }
    #expect(try count(store, "a", 1) == .null)
    let report = try store.materialize("stock")
    #expect(report.broughtCount == 2 && report.keyCount == 2)
    let answers = try store.get("stock", fields: text("a", 1))
    #expect(answers.map(\.value) == values(1) && answers[0].lsn == first)
    #expect(try store.get("stock", fields: text("a", 2))[0].status == .deleted)
    try store.close()
    store = try FeatureStore.open(at: fixture.directory)
    #expect(try store.get("stock", fields: text("a", 1)).map(\.value) == values(1))
    #expect(try store.verify().damages.isEmpty)
    try store.close()
  }
}
