import Glibc

/// What the benchmarks' own programs share.
public enum Benchmark {
  /// Runs a program; what it throws goes to standard error, and the status is 1.
  public static func run(_ body: ([String]) throws -> Void) {
    do {
      try body(Array(CommandLine.arguments.dropFirst()))
    } catch {
      let text = "\(error)\n"
      _ = text.withCString { write(2, $0, strlen($0)) }
      exit(1)
    }
  }
}

/// A count from text.
public func number(_ text: String, atLeast least: Int = 1) throws -> Int {
  guard let number = Int(text), number >= least else {
    throw Failure(message: "'\(text)' is no count")
  }
  return number
}

public struct Failure: Error, CustomStringConvertible {
  public let message: String
  public var description: String { message }

  public init(message: String) { self.message = message }
}

/// SplitMix64 with a fixed seed: the same data in every run.
public struct Generator {
  private var state: UInt64 = 42

  public init() {}

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
  public mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

  /// About normal: the sum of four uniform numbers.
  public mutating func normal() -> Double { (unit() + unit() + unit() + unit() - 2) * 1.732 }
}
