import TestSupport

/// The fuzzer's bytes as a stream of decisions; zeros when they have run out.
struct Input: Choices {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func integer<Integer: FixedWidthInteger>(_: Integer.Type) -> Integer {
    var value: Integer = 0
    for index in 0..<Integer.bitWidth / 8 {
      value |= Integer(truncatingIfNeeded: byte()) << Integer(index * 8)
    }
    return value
  }

  mutating func below(_ bound: Int) -> Int {
    bound <= 256 ? Int(byte()) % bound : Int(integer(UInt32.self)) % bound
  }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }

  /// All that is left.
  mutating func rest() -> [UInt8] {
    defer { position = bytes.count }
    return position < bytes.count ? Array(bytes[position...]) : []
  }
}

/// Ends the process when a promise is broken; the fuzzer keeps the input.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fail(message()) }
}

func fail(_ message: String) -> Never {
  print("BROKEN: \(message)")
  fatalError(message)
}
