import Avro
import Columnar
import FileFormats
import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Small files that claim to be huge, and values that would be.
@Suite struct BombTests {
  /// Deflate data with fixed codes: one letter, then itself again and again, 258 bytes in 13 bits.
  private func repeated(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var (bits, filled) = (UInt32(0), UInt32(0))
    func put(_ value: UInt32, _ count: UInt32) {
      bits |= value << filled
      filled += count
      while filled >= 8 {
        bytes.append(UInt8(truncatingIfNeeded: bits))
        bits >>= 8
        filled -= 8
      }
    }
    // The last block, of fixed codes; then a space, whose code is 0101_0000, the first bit first.
    put(0b011, 3)
    put(0b0000_1010, 8)
    // Length 258 is 1100_0101, distance 1 is 00000.
    for _ in 0..<(count / 258) {
      put(0b1010_0011, 8)
      put(0, 5)
    }
    put(0, 7)
    put(0, 8)
    return bytes
  }

  private let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]

  @Test func metadataThatExpandsBeyondTheLimitIsRefused() throws {
    let bomb = header + repeated(70 << 20)
    #expect(bomb.count < 500_000)
    let error = #expect(throws: IcebergError.self) { try TableMetadata(fileContent: bomb) }
    #expect(error?.description.contains("larger than") == true)
    // Less of it is only no JSON.
    let small = #expect(throws: IcebergError.self) {
      try TableMetadata(fileContent: header + repeated(1 << 16))
    }
    #expect(small?.description.contains("larger than") == false)
  }

  @Test func compressedMetadataIsRead() throws {
    let text = try MetadataCaseTests.document(2).utf8()
    var bytes = header
    // One stored block, with the checksum and the size behind it.
    let (low, high) = (UInt8(text.count & 255), UInt8(text.count >> 8))
    bytes += [1, low, high, ~low, ~high] + text
    var checksum: UInt32 = .max
    for byte in text {
      checksum ^= UInt32(byte)
      for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    for number in [~checksum, UInt32(text.count)] {
      bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }
    #expect(try TableMetadata(fileContent: bytes) == TableMetadata(fileContent: text))
    bytes[40] ^= 1
    #expect(throws: IcebergError.self) { try TableMetadata(fileContent: bytes) }
  }

  @Test(arguments: [AvroCodec.deflate, .zstandard])
  func aManifestListThatExpandsBeyondTheLimitIsRefused(codec: AvroCodec) throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a")
    var writer = AvroFileWriter(codec: codec)
    writer.append { $0.writeBytes([UInt8](repeating: 0, count: 65 << 20)) }
    let bytes = try writer.finish(schema: .bytes, metadata: [])
    #expect(bytes.count < 1 << 20)
    let location = table.metadata.metadataFolder + "/bomb.avro"
    try table.io.write(location, bytes)
    var metadata = table.metadata
    metadata.snapshots[0].manifestList = location
    let bombed = Table(
      identifier: table.identifier,
      state: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
      catalog: table.catalog, io: table.io, clock: table.clock)
    #expect(throws: IcebergError.self) { try bombed.newScan().planFiles() }
  }

  /// A table of format version 3 with one row, and then one more column.
  private func table(_ warehouse: Warehouse, adding field: NestedField) throws -> Table {
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t\(field.id)\(field.name)"),
      TableDefinition(schema: Warehouse.schema, formatVersion: 3)
    ).writing((0..<100).map { Row(id: $0, ts: 0, x: nil, name: nil) })
    var commit = table.newCommit()
    commit.update { _ throws(IcebergError) in
      [
        .addSchema(TableSchema(fields: Warehouse.schema.fields + [field]), lastColumnID: field.id),
        .setCurrentSchema(id: nil),
      ]
    }
    return try commit.commit().table
  }

  @Test func aMissingColumnTakesBoundedMemory() throws {
    let warehouse = try Warehouse()
    let half = NestedField.optional(6, "half", .fixed(1 << 30))
    var text = NestedField.optional(5, "text", .string)
    text.initialDefault = .string(String(repeating: "a", count: 3 << 20))
    let huge: [NestedField] = [
      .optional(5, "f", .fixed(Int(Int32.max))), text,
      .optional(7, "s", .structure([half, .optional(5, "other", .fixed(Int(Int32.max)))])),
    ]
    for field in huge {
      let table = try table(warehouse, adding: field)
      let error = #expect(throws: IcebergError.self, "\(field.name)") {
        try table.newScan().rows()
      }
      #expect(error?.description.contains("missing column") == true, "\(field.name)")
      // Nothing is lost for those who do not ask for it.
      var scan = table.newScan()
      scan.columns = ["id", "ts", "x", "name"]
      #expect(try scan.rows().count == 100)
    }
    #expect(
      try table(warehouse, adding: .optional(5, "small", .fixed(1000))).newScan().rows().count
        == 100)
  }

  @Test func aScanKeepsToItsMemory() throws {
    let warehouse = try Warehouse()
    let name = String(repeating: "n", count: 1000)
    let table = try warehouse.table().writing(
      (0..<5000).map { Row(id: $0, ts: 0, x: nil, name: name) })
    var scan = table.newScan()
    #expect(try scan.rows().count == 5000)
    scan.memoryLimitBytes = 1 << 20
    let error = #expect(throws: IcebergError.self) { try scan.rows() }
    #expect(error?.description.contains("memory limit") == true)
    // All readers together have what one would have.
    scan.memoryLimitBytes = 64 << 20
    #expect(try scan.rows().count == 5000)
    scan.concurrentFileCount = 64
    #expect(throws: IcebergError.self) { try scan.rows() }
  }
}
