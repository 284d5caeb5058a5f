import Foundation
import Iceberg
import Storage
import Testing

/// Names that others would take for a path, a pattern or a statement.
@Suite struct IdentifierTests {
  private let strange = [
    "*", "*.*", "f*", "a?", "a/b", "../../x", "..", ".", "a\\b", "..\\x", "~", "$(x)", "`x`",
    "x'; DROP TABLE iceberg_tables; --", "x\" OR 1=1", "%2e%2e%2f", "a b", "\u{e9}", "e\u{301}",
    String(repeating: "n", count: 255), "-rf", "x.parquet", "a:b", "\u{202e}x",
  ]

  private func identifier(_ name: String) throws -> TableIdentifier {
    try TableIdentifier(try Namespace("db"), name)
  }

  @Test func strangeNamesAreNamesAndNothingMore() throws {
    let warehouse = try Warehouse()
    let definition = TableDefinition(schema: Warehouse.schema)
    let root = warehouse.folder + "/warehouse/db/"
    var locations: Set<String> = []
    for name in strange {
      let identifier = try identifier(name)
      let table = try warehouse.catalog.createTable(identifier, definition)
      let path = try Location.comparable(table.location)
      // One folder of its own below the namespace's, of letters, digits and a few signs.
      #expect(path.hasPrefix(root) && !path.dropFirst(root.count).contains("/"), "\(name)")
      #expect(path.utf8.allSatisfy { $0 >= 0x21 && $0 < 0x7F && !"*?\\~$`'\"%:".utf8.contains($0) })
      #expect(locations.insert(path).inserted)
      #expect(try warehouse.catalog.loadTable(identifier).location == table.location)
    }
    let listed = try warehouse.catalog.listTables(try Namespace("db")).map { Array($0.name.utf8) }
    #expect(Set(listed) == Set(strange.map { Array($0.utf8) }))
    for name in strange { try warehouse.catalog.dropTable(try identifier(name)) }
    #expect(try warehouse.catalog.listTables(try Namespace("db")).isEmpty)
  }

  @Test func emptyLongAndControlCharactersAreRefused() throws {
    for name in [
      "", "a\0b", "a\nb", "\u{1B}[2J", "a\u{1F}b", String(repeating: "n", count: 256),
      String(repeating: "n", count: 1 << 20),
    ] {
      #expect(throws: IcebergError.self) { try identifier(name) }
      #expect(throws: IcebergError.self) { try Namespace([name]) }
    }
    #expect(throws: IcebergError.self) { try Namespace(["a.b"]) }
    #expect(throws: IcebergError.self) { try Namespace("a..b") }
  }

  @Test func namesThatDifferInCaseAreTwoTablesInTwoFolders() throws {
    let warehouse = try Warehouse()
    let (lower, upper) = (try warehouse.table("db.weather"), try warehouse.table("db.Weather"))
    #expect(lower.metadata.tableUUID != upper.metadata.tableUUID)
    #expect(lower.location.lowercased() != upper.location.lowercased())
    _ = try lower.appending("a")
    #expect(try upper.refresh().metadata.snapshots.isEmpty)
  }
}
