import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// A small table with every byte of its files damaged, every sector zeroed, every file missing or swapped:
/// reading it gives an error or the rows that were written, never others.
@Suite struct TableDamageTests {
  /// What a table that is read after damage comes to.
  enum Outcome: Hashable {
    case refused, harmless, wrong
  }

  static let written: [Row] = (0..<40).map { (number: Int) -> Row in
    Row(
      id: Int64(number), ts: Int64(number) * 1_000_000, x: number % 5 == 0 ? nil : Double(number),
      name: number % 7 == 0 ? nil : "name \(number % 4)")
  }

  func table(_ warehouse: Warehouse) throws -> [String] {
    var table = try warehouse.table()
    table = try table.writing(Array(Self.written[..<25]))
    table = try table.writing(Array(Self.written[25...]))
    var paths: [String] = []
    for folder in ["metadata", "data"] {
      let path = try warehouse.path(table.location + "/" + folder)
      paths += try FileManager.default.contentsOfDirectory(atPath: path).map { path + "/" + $0 }
    }
    return paths.sorted()
  }

  func read(_ warehouse: Warehouse) -> Outcome {
    do {
      let table = try warehouse.another().loadTable(try TableIdentifier("db.t"))
      let all = try table.newScan().rows()
      // The same with files skipped by what is said of them.
      var scan = table.newScan()
      scan.filter = .comparison("id", .greaterOrEqual, .long(20))
      let some = try scan.rows()
      let isRight = all == Self.written && some == Self.written.filter { $0.id >= 20 }
      return isRight ? .harmless : .wrong
    } catch { return .refused }
  }

  func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// Reads with the file's bytes replaced, and puts them back.
  func outcome(_ warehouse: Warehouse, _ path: String, _ damaged: [UInt8]) throws -> Outcome {
    let original = try bytes(path)
    try Data(damaged).write(to: URL(fileURLWithPath: path))
    defer { try? Data(original).write(to: URL(fileURLWithPath: path)) }
    return read(warehouse)
  }

  @Test func everyDamagedByteIsFoundOrHarmless() throws {
    let warehouse = try Warehouse()
    let paths = try table(warehouse)
    #expect(read(warehouse) == .harmless)
    var generator = SeededGenerator(seed: 8)
    // Coprime with the distances at which things repeat; 1 for every byte.
    let step = setting("FSTORE_DAMAGE_STEP", 31)
    var counts: [Outcome: Int] = [:]
    for path in paths {
      let original = try bytes(path)
      for index in stride(from: generator.below(step), to: original.count, by: step) {
        var damaged = original
        damaged[index] ^= 1 << UInt8(generator.below(8))
        let found = try outcome(warehouse, path, damaged)
        counts[found, default: 0] += 1
        #expect(found != .wrong, "byte \(index) of \(path)")
      }
    }
    #expect(counts[.refused, default: 0] > 100 && counts[.harmless, default: 0] > 100)
    #expect(read(warehouse) == .harmless)
  }

  /// Every digit of the metadata changed, which leaves most of it metadata: of another table.
  @Test func everyChangedDigitOfTheMetadataIsFound() throws {
    let warehouse = try Warehouse()
    _ = try table(warehouse)
    let table = try warehouse.another().loadTable(try TableIdentifier("db.t"))
    let path = try warehouse.path(table.metadataLocation)
    let original = try bytes(path)
    var counts: [Outcome: Int] = [:]
    for index in original.indices
    where (UInt8(ascii: "0")...UInt8(ascii: "8")).contains(original[index]) {
      var damaged = original
      damaged[index] += 1
      counts[try outcome(warehouse, path, damaged), default: 0] += 1
    }
    #expect(counts[.wrong] == nil && counts[.harmless] == nil)
    #expect(counts[.refused, default: 0] > 100)
    // Another writer's text ends in another way.
    let text = String(decoding: original, as: UTF8.self)
    let end = try #require(text.range(of: ",\"fstore.checksum\"")).lowerBound
    #expect(try outcome(warehouse, path, Array((text[..<end] + "}").utf8)) == .harmless)
  }

  /// A bit of every fifth byte of the manifests and their list: what still is Avro is found by its checksum,
  /// and only damage to the name of that goes unseen.
  @Test func everyChangedByteOfManifestsIsFound() throws {
    let warehouse = try Warehouse()
    let written = try table(warehouse)
    let table = try warehouse.another().loadTable(try TableIdentifier("db.t"))
    let list = try warehouse.path(try #require(table.metadata.currentSnapshot?.manifestList))
    // Nobody reads the list of the snapshot before.
    let paths = written.filter { $0.hasSuffix("-m0.avro") } + [list]
    #expect(paths.count == 3)
    var generator = SeededGenerator(seed: 9)
    var counts: [Outcome: Int] = [:]
    for path in paths {
      let original = try bytes(path)
      for index in stride(from: generator.below(5), to: original.count, by: 5) {
        var damaged = original
        damaged[index] ^= 1 << UInt8(generator.below(8))
        counts[try outcome(warehouse, path, damaged), default: 0] += 1
      }
    }
    #expect(counts[.wrong] == nil)
    #expect(counts[.harmless, default: 0] < 20 * paths.count)
    #expect(counts[.refused, default: 0] > 1000)
  }

  @Test func zeroedSectorsAndMissingOrSwappedFilesAreFoundOrHarmless() throws {
    let warehouse = try Warehouse()
    let paths = try table(warehouse)
    var refused = 0
    func check(_ found: Outcome, _ what: String) {
      #expect(found != .wrong, "\(what)")
      if found == .refused { refused += 1 }
    }
    for path in paths {
      let original = try bytes(path)
      for start in stride(from: 0, to: original.count, by: 512) {
        var damaged = original
        for index in start..<min(start + 512, damaged.count) { damaged[index] = 0 }
        check(try outcome(warehouse, path, damaged), "sector \(start / 512) of \(path)")
      }
      try FileManager.default.removeItem(atPath: path)
      check(read(warehouse), "without \(path)")
      try Data(original).write(to: URL(fileURLWithPath: path))
      for other in paths where other != path {
        check(try outcome(warehouse, path, try bytes(other)), "\(other) for \(path)")
      }
    }
    #expect(refused > paths.count * 2)
    #expect(read(warehouse) == .harmless)
  }
}
