import Foundation
import Iceberg
import TestSupport
import Testing

/// Serialised forms that CRoaring writes for the same positions.
@Suite struct PositionBitmapTests {
  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
  }

  /// CRC-32 as zlib has it, bit by bit.
  private func checksum(_ bytes: [UInt8]) -> UInt32 {
    var value = UInt32.max
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return ~value
  }

  @Test func smallBitmapsAreWrittenAsOthersWriteThem() throws {
    let vectors: [([Int64], String)] = [
      ([], "0000000000000000"),
      ([0], "0100000000000000000000003a3000000100000000000000100000000000"),
      (
        [1, 3, 5, 70000, (1 << 32) + 7],
        "0200000000000000000000003a300000020000000000020001000000180000001e0000000100030005007011"
          + "010000003a3000000100000000000000100000000700"
      ),
      (
        Array(100..<5000) + [9000],
        "0100000000000000000000003b300000010000241302006400231328230000"
      ),
    ]
    for (positions, text) in vectors {
      let bitmap = try PositionBitmap(positions)
      #expect(hexadecimal(bitmap.roaring) == text)
      #expect(try PositionBitmap(roaring: bitmap.roaring) == bitmap)
      #expect(bitmap.count == Int64(positions.count))
    }
  }

  @Test func largeBitmapsAreWrittenAsOthersWriteThem() throws {
    let even = (Int64(0)..<10000).map { 2 * $0 }
    let many = (Int64(0)..<6).flatMap { key in (Int64(0)..<34).map { key * 65536 + 3 * $0 } }
    var mixed = Array(Int64(0)..<65536) + [65541]
    mixed += (Int64(0)..<20000).map { 131072 + 3 * $0 }
    mixed += (Int64(0)..<50).map { (3 << 32) + $0 }
    let vectors: [([Int64], Int, UInt32)] = [
      (even, 8220, 2_449_653_103), (many, 476, 2_503_311_604), (mixed, 8248, 3_263_592_164),
    ]
    for (positions, size, sum) in vectors {
      let bitmap = try PositionBitmap(positions)
      let bytes = bitmap.roaring
      #expect(bytes.count == size && checksum(bytes) == sum)
      #expect(try PositionBitmap(roaring: bytes).positions == positions)
    }
  }

  @Test func aBitmapHoldsWhatWasInserted() throws {
    for seed in UInt64(1)...20 {
      var random = SeededGenerator(seed: seed)
      let bound = Int64.random(in: 100...300_000, using: &random)
      let positions = (0..<5000).map { _ in Int64.random(in: 0..<bound, using: &random) }
      let bitmap = try PositionBitmap(positions)
      let expected = Set(positions)
      #expect(bitmap.positions == expected.sorted(), "seed \(seed)")
      #expect(try PositionBitmap(roaring: bitmap.roaring) == bitmap, "seed \(seed)")
      for position in 0..<1000 {
        #expect(bitmap.contains(Int64(position)) == expected.contains(Int64(position)))
      }
    }
  }

  @Test func theUnionHasThePositionsOfBoth() throws {
    var left = try PositionBitmap([1, 70_000])
    left.formUnion(try PositionBitmap([2, 1, 200_000]))
    #expect(left.positions == [1, 2, 70_000, 200_000])
  }

  @Test func whatIsNoPositionIsRefused() throws {
    var bitmap = PositionBitmap()
    #expect(throws: IcebergError.self) { try bitmap.insert(-1) }
    #expect(throws: IcebergError.self) { try bitmap.insert(.max) }
    #expect(bitmap.isEmpty && !bitmap.contains(-1))
  }

  @Test func damagedBitmapsAreErrors() throws {
    let blob = DeletionVector.encode(try PositionBitmap(Array(0..<9000) + [70_000, 80_000]))
    #expect(try DeletionVector.decode(blob).count == 9002)
    for index in blob.indices {
      var damaged = blob
      damaged[index] ^= 0x10
      #expect(throws: IcebergError.self, "byte \(index)") { try DeletionVector.decode(damaged) }
      #expect(throws: IcebergError.self, "cut at \(index)") {
        try DeletionVector.decode(Array(blob[..<index]))
      }
    }
    // Without the checksum in the way: any result or error, but no crash and no endless loop.
    let bytes = try PositionBitmap([1, 5, 70_000, 5 << 32] + Array(100_000..<110_000)).roaring
    var random = SeededGenerator(seed: 3)
    var refused = 0
    for _ in 0..<3000 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        damaged[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      do { _ = try PositionBitmap(roaring: damaged) } catch { refused += 1 }
    }
    #expect(refused > 1000)
  }
}
