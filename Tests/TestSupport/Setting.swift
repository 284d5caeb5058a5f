import Foundation

/// A number that the environment may set, as nightly runs do; otherwise the usual one.
public func setting(_ name: String, _ usual: Int) -> Int {
  ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? usual
}
