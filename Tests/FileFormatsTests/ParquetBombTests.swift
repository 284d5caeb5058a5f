import Columnar
import FileFormats
import Foundation
import Storage
import Testing

/// Thrift's compact protocol, as far as Parquet's footers need it.
private struct Thrift {
  private(set) var bytes: [UInt8] = []
  private var last = 0

  private mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }

  private mutating func begin(_ field: Int, _ type: UInt8) {
    bytes.append(UInt8(field - last) << 4 | type)
    last = field
  }

  private static func zigzag(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: value << 1 ^ value >> 63)
  }

  mutating func int32(_ field: Int, _ value: Int64) {
    begin(field, 5)
    varint(Self.zigzag(value))
  }

  mutating func int64(_ field: Int, _ value: Int64) {
    begin(field, 6)
    varint(Self.zigzag(value))
  }

  mutating func text(_ field: Int, _ text: String) {
    begin(field, 8)
    varint(UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }

  mutating func structure(_ field: Int, _ body: (inout Thrift) -> Void) {
    begin(field, 12)
    bytes += Thrift.structure(body)
  }

  mutating func list(_ field: Int, _ elements: [(inout Thrift) -> Void]) {
    begin(field, 9)
    bytes.append(UInt8(elements.count) << 4 | 12)
    for element in elements { bytes += Thrift.structure(element) }
  }

  mutating func listOfInt32(_ field: Int, _ values: [Int64]) {
    begin(field, 9)
    bytes.append(UInt8(values.count) << 4 | 5)
    for value in values { varint(Self.zigzag(value)) }
  }

  mutating func listOfText(_ field: Int, _ values: [String]) {
    begin(field, 9)
    bytes.append(UInt8(values.count) << 4 | 8)
    for value in values {
      varint(UInt64(value.utf8.count))
      bytes += Array(value.utf8)
    }
  }

  static func structure(_ body: (inout Thrift) -> Void) -> [UInt8] {
    var thrift = Thrift()
    body(&thrift)
    return thrift.bytes + [0]
  }
}

/// Files of a few hundred bytes that say that they hold gigabytes.
@Suite struct ParquetBombTests {
  /// A column of texts whose dictionary has one value of `valueBytes`, compressed to nothing, which one
  /// run of a page repeats `rowCount` times.
  private func bomb(valueBytes: Int, rowCount: Int) -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    /// A Zstandard frame of plain bytes, and then one byte so many times.
    func frame(_ plain: [UInt8], zeros: Int) -> [UInt8] {
      var bytes: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xA0] + number(plain.count + zeros, 4)
      bytes += number(plain.count << 3 | (zeros == 0 ? 1 : 0), 3) + plain
      var rest = zeros
      while rest > 0 {
        let size = min(rest, 128 << 10)
        rest -= size
        bytes += number(size << 3 | 1 << 1 | (rest == 0 ? 1 : 0), 3) + [UInt8(ascii: "a")]
      }
      return bytes
    }
    func varint(_ value: Int) -> [UInt8] {
      value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
    }
    let dictionary = frame(number(valueBytes, 4), zeros: valueBytes)
    // Bit width 1, then a run of so many zeros.
    let indices = [1] + varint(rowCount << 1) + [0]
    let page = frame(indices, zeros: 0)
    let dictionaryHeader = Thrift.structure { header in
      header.int32(1, 2)
      header.int32(2, Int64(valueBytes + 4))
      header.int32(3, Int64(dictionary.count))
      header.structure(7) {
        $0.int32(1, 1)
        $0.int32(2, 0)
      }
    }
    let pageHeader = Thrift.structure { header in
      header.int32(1, 0)
      header.int32(2, Int64(indices.count))
      header.int32(3, Int64(page.count))
      header.structure(5) {
        $0.int32(1, Int64(rowCount))
        $0.int32(2, 8)
        $0.int32(3, 3)
        $0.int32(4, 3)
      }
    }
    var file = Array("PAR1".utf8) + dictionaryHeader + dictionary
    let pageOffset = Int64(file.count)
    file += pageHeader + page
    let size = Int64(file.count - 4)
    let footer = Thrift.structure { footer in
      footer.int32(1, 1)
      footer.list(
        2,
        [
          {
            $0.text(4, "schema")
            $0.int32(5, 1)
          },
          {
            $0.int32(1, 6)
            $0.int32(3, 0)
            $0.text(4, "s")
            $0.int32(6, 0)
            $0.int32(9, 1)
          },
        ])
      footer.int64(3, Int64(rowCount))
      footer.list(
        4,
        [
          { group in
            group.list(
              1,
              [
                { chunk in
                  chunk.int64(2, 4)
                  chunk.structure(3) {
                    $0.int32(1, 6)
                    $0.listOfInt32(2, [0, 3, 8])
                    $0.listOfText(3, ["s"])
                    $0.int32(4, 6)
                    $0.int64(5, Int64(rowCount))
                    $0.int64(6, size)
                    $0.int64(7, size)
                    $0.int64(9, pageOffset)
                    $0.int64(11, 4)
                  }
                }
              ])
            group.int64(2, size)
            group.int64(3, Int64(rowCount))
          }
        ])
    }
    return file + footer + number(footer.count, 4) + Array("PAR1".utf8)
  }

  private func read(_ bytes: [UInt8], limit: Int64? = nil) throws -> Int {
    var options = ParquetReaderOptions()
    if let limit { options.memoryLimitBytes = limit }
    let stream = try ParquetReader(file: MemoryFile(bytes), options: options).batches()
    var count = 0
    while let batch = try stream.next() { count += batch.rowCount }
    return count
  }

  @Test func theFileIsReadWhileItIsSmall() throws {
    let bytes = bomb(valueBytes: 1000, rowCount: 5)
    let batch = try #require(try ParquetReader(file: MemoryFile(bytes)).batches().next())
    #expect(batch.rowCount == 5)
    #expect(batch.columns[0].string(at: 4) == String(repeating: "a", count: 1000))
    #expect(try read(bomb(valueBytes: 1000, rowCount: 100_000)) == 100_000)
  }

  @Test(arguments: [
    (1 << 20, 4096), (1 << 16, 1 << 16), (1 << 28, 64),
  ])
  func afewHundredBytesThatSayTheyAreGigabytesAreAnError(
    valueBytes: Int, rowCount: Int
  ) async throws {
    let bytes = bomb(valueBytes: valueBytes, rowCount: rowCount)
    #expect(bytes.count < 10_000)
    let start = ContinuousClock.now
    let error = #expect(throws: FileFormatError.self) { try read(bytes, limit: 256 << 20) }
    #expect(error?.kind == .memoryLimit || error?.kind == .malformed)
    // In seconds, not minutes, also on a busy machine.
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test func theLimitHoldsForTheWholeProcess() async {
    await #expect(processExitsWith: .success) {
      // What the process has now, and 768 MiB more: less than a limit that is passed would take.
      let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(
        separator: " ")
      let size = (Int(pages[0]) ?? 0) * 4096 + 768 << 20
      var limit = rlimit(rlim_cur: rlim_t(size), rlim_max: rlim_t(size))
      guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { exit(2) }
      let bytes = ParquetBombTests().bomb(valueBytes: 1 << 20, rowCount: 4096)
      do {
        _ = try ParquetBombTests().read(bytes, limit: 256 << 20)
        exit(3)
      } catch let error as FileFormatError {
        exit(error.kind == .memoryLimit ? 0 : 4)
      }
    }
  }
}
