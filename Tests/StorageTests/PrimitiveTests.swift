import Storage
import Testing

@Suite struct PrimitiveTests {
  @Test func checksumMatchesTheStandardVector() {
    let digits = Array("123456789".utf8)
    #expect(CRC32C(of: digits.span.bytes).value == 0xE306_9283)
    var parts = CRC32C(of: digits.span.bytes.extracting(first: 4))
    parts.update(digits.span.bytes.extracting(droppingFirst: 4))
    #expect(parts.value == 0xE306_9283)
    #expect(CRC32C().masked == 0xa282_ead8)
  }

  @Test func bytesAreComparedAsArraysAre() {
    let some: [[UInt8]] = [[], [0], [1], [0, 1], [1, 0], Array(0...99), Array(0...98) + [0]]
    for left in some {
      for right in some { #expect(left.hasSameBytes(as: right) == (left == right)) }
    }
  }

  @Test func pathsAreSplitLexically() {
    #expect(StoragePath.directory(of: "a/b") == "a")
    #expect(StoragePath.directory(of: "b") == ".")
    #expect(StoragePath.directory(of: "/b/") == "/")
    #expect(StoragePath.directory(of: "ä//b/c/") == "ä//b")
    #expect(StoragePath.directory(of: "ä//b/") == "ä")
    for path in ["/", "//", "//b"] { #expect(StoragePath.directory(of: path) == "/") }
    for path in ["", "b/"] { #expect(StoragePath.directory(of: path) == ".") }
    for path in ["/a/b", "b", "b/", "a//b//"] {
      #expect(StoragePath.lastComponent(of: path) == "b")
    }
    #expect(StoragePath.lastComponent(of: "/") == "/")
    #expect(StoragePath.lastComponent(of: "") == "")
    #expect(StoragePath.join("/", "a") == "/a")
  }

  @Test func aSmallCacheForgetsTheOldest() throws {
    let cache = SmallCache<String, Int>(capacity: 3)
    var computed: [String] = []
    func length(_ key: String) -> Int {
      cache.value(key) {
        computed.append(key)
        return key.count
      }
    }
    for key in ["a", "bb", "ccc", "a", "bb", "ccc"] { #expect(length(key) == key.count) }
    #expect(computed == ["a", "bb", "ccc"])
    for key in ["dddd", "bb", "ccc", "dddd", "a", "ccc"] { #expect(length(key) == key.count) }
    #expect(computed == ["a", "bb", "ccc", "dddd", "a"])
  }

  @Test func aSmallCacheKeepsNoErrors() throws {
    struct Failure: Error {}
    let cache = SmallCache<Int, Int>(capacity: 1)
    #expect(throws: Failure.self) { try cache.value(1) { () throws(Failure) in throw Failure() } }
    #expect(cache.value(1) { 7 } == 7)
  }

  @Test func waitersSeeWhatOtherThreadsChanged() throws {
    let monitor = Monitor(0)
    let thread = try BackgroundThread(name: "counter") {
      for _ in 0..<1000 { monitor.withLock { $0 += 1 } }
      monitor.broadcast()
    }
    let value: Int = monitor.wait { $0 == 1000 ? $0 : nil }
    thread.join()
    thread.join()
    #expect(value == 1000)
  }

  @Test func waitingEndsWithItsTimeout() {
    let monitor = Monitor(0)
    let value: Int? = monitor.wait(timeoutMilliseconds: 5) { $0 == 1 ? $0 : nil }
    #expect(value == nil)
  }
}

@Suite struct TrailingZerosTests {
  @Test func onlyTheZerosAtTheEndAreLeftOut() {
    #expect([UInt8]().countBeforeTrailingZeros == 0)
    for count in [1, 7, 4095, 4096, 4097, 12_288, 20_000] {
      var bytes = [UInt8](repeating: 0, count: count)
      #expect(bytes.countBeforeTrailingZeros == 0)
      for last in [0, count / 2, count - 1] {
        bytes[last] = 1
        #expect(bytes.countBeforeTrailingZeros == last + 1)
      }
    }
  }

  @Test func aConditionWakesThoseWhoWaitForIt() throws {
    let monitor = Monitor(0)
    let condition = Condition()
    let thread = try BackgroundThread(name: "condition") {
      monitor.wait(for: condition) { $0 == 1 ? () : nil }
      monitor.withLock { $0 = 2 }
      monitor.broadcast()
    }
    monitor.withLock { $0 = 1 }
    condition.broadcast()
    let value: Int = monitor.wait { $0 == 2 ? $0 : nil }
    thread.join()
    #expect(value == 2)
  }

  @Test func durationsNeverGoBack() {
    let first = MonotonicClock.nowNanoseconds()
    #expect(MonotonicClock.nowNanoseconds() >= first)
  }
}
