import Glibc
import Storage
import TestSupport
import Testing

@Suite struct MappedBytesTests {
  /// How often this thread had to enter a page into the page tables.
  static func faultCount() -> Int {
    var usage = rusage()
    getrusage(1, &usage)  // RUSAGE_THREAD
    return usage.ru_minflt
  }

  /// How many faults it takes to read one byte of every page.
  static func faultsOfReading(_ mapping: MappedBytes) -> Int {
    let bytes = unsafe mapping.unownedBytes
    let before = faultCount()
    var sum = 0
    for offset in stride(from: 0, to: bytes.count, by: 4096) { sum += Int(unsafe bytes[offset]) }
    let faults = faultCount() - before
    #expect(sum == bytes.count / 4096 * 7)
    return faults
  }

  @Test func whatThePageCacheHoldsIsReadWithoutAFault() throws {
    try withTemporaryDirectory { directory in
      let file = try POSIXFileSystem().open(directory + "/a", .create)
      // Little by little, as a log is written: the page cache then holds many small pieces.
      for offset in stride(from: Int64(0), to: 16 << 20, by: 4096) {
        try file.write([UInt8](repeating: 7, count: 4096), at: offset)
      }
      let plain = try #require(file.map(count: 16 << 20))
      #expect(Self.faultsOfReading(plain) > 16)
      let populated = try #require(file.map(count: 16 << 20))
      populated.populateResidentPages()
      #expect(Self.faultsOfReading(populated) < 8)
    }
  }
}
