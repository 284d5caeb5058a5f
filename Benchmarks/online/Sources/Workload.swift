import Glibc

/// The records that all engines get: 16 bytes of key and 200 of row, both made from the key's number.
struct Workload {
  static let keyBytes = 16
  static let rowBytes = 200
  let count: Int

  /// The key's bytes: hexadecimal, so that they are in no order of insertion.
  static func writeKey(_ number: Int, into key: inout [UInt8]) {
    var value = UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15
    for index in 0..<keyBytes {
      let digit = UInt8(truncatingIfNeeded: value >> 60)
      key[index] = digit < 10 ? 48 + digit : 87 + digit
      value <<= 4
    }
  }

  /// Ten features, twenty bytes each; the first eight bytes are the number, which readers check.
  static func row(_ number: Int) -> [UInt8] {
    var row = [UInt8](repeating: 0, count: rowBytes)
    var state = UInt64(truncatingIfNeeded: number)
    for index in stride(from: 0, to: rowBytes, by: 8) {
      withUnsafeBytes(of: state) { row.replaceSubrange(index..<index + 8, with: $0) }
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    }
    return row
  }

  static func record(_ number: Int) -> (key: [UInt8], row: [UInt8]) {
    var key = [UInt8](repeating: 0, count: keyBytes)
    writeKey(number, into: &key)
    return (key, row(number))
  }

  /// Key numbers in the order in which they are asked for.
  func uniform(_ count: Int, seed: UInt64) -> [Int] {
    var state = seed &* 2 &+ 1
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(self.count))
    }
  }

  /// The same with the popularity of Zipf's law (exponent 0.99, as in YCSB), popular keys anywhere.
  func zipf(_ count: Int, seed: UInt64) -> [Int] {
    let theta = 0.99
    let keys = Double(self.count)
    var zeta = 0.0
    for rank in 1...self.count { zeta += 1 / pow(Double(rank), theta) }
    let alpha = 1 / (1 - theta)
    let eta = (1 - pow(2 / keys, 1 - theta)) / (1 - (1 + pow(0.5, theta)) / zeta)
    var state = seed &* 2 &+ 1
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let uniform = Double(state >> 11) / Double(1 << 53)
      let product = uniform * zeta
      let rank: Double
      if product < 1 {
        rank = 0
      } else if product < 1 + pow(0.5, theta) {
        rank = 1
      } else {
        rank = keys * pow(eta * uniform - eta + 1, alpha)
      }
      return Int(UInt64(rank) &* 0x9E37_79B9_7F4A_7C15 % UInt64(self.count))
    }
  }
}

/// Nanoseconds since some moment.
func now() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Runs the body on so many threads at once and returns the seconds until the last ends.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Double {
  final class Box: Sendable {
    let index: Int
    let body: @Sendable (Int) -> Void
    init(_ index: Int, _ body: @escaping @Sendable (Int) -> Void) {
      self.index = index
      self.body = body
    }
  }
  var threads: [pthread_t] = []
  let start = now()
  for index in 0..<count {
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { argument in
        let box = Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
        box.body(box.index)
        return nil
      }, Unmanaged.passRetained(Box(index, body)).toOpaque())
    threads.append(thread)
  }
  for thread in threads { pthread_join(thread, nil) }
  return Double(now() - start) / 1e9
}

struct Percentiles {
  var median: Double
  var p99: Double
  var p999: Double
  var mean: Double

  /// - Parameter nanoseconds: of single operations.
  init(_ nanoseconds: [UInt64]) {
    let sorted = nanoseconds.sorted()
    func at(_ share: Double) -> Double {
      sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))])
    }
    mean = sorted.isEmpty ? 0 : Double(sorted.reduce(0, +)) / Double(sorted.count)
    (median, p99, p999) = (at(0.5), at(0.99), at(0.999))
  }
}
