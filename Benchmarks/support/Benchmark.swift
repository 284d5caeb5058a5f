import Glibc
import TestSupport

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

/// Numbers from a fixed seed: the same data in every run.
public struct Generator {
  private var random = SeededGenerator(seed: 42)

  public init() {}

  public mutating func next() -> UInt64 { random.next() }
  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
  public mutating func below(_ count: Int) -> Int { random.below(count) }

  /// About normal: the sum of four uniform numbers.
  public mutating func normal() -> Double { (unit() + unit() + unit() + unit() - 2) * 1.732 }
}
