internal import Storage

/// Asks a source for what it gives one after the other: the next while the caller works with the one before.
final class SourceAhead<Event>: ReadAheadWorker {
  /// Unchecked: one thread alone asks, and what the caller looks at meanwhile stays as it is.
  private struct Source: @unchecked Sendable {
    let next: () throws -> Event?
  }

  private let source: Source

  private init(_ source: Source) { self.source = source }

  /// Memory: two events more.
  ///
  /// - Parameter next: nil when there is no more.
  static func of(_ next: @escaping () throws -> Event?) -> ReadAhead<SourceAhead> {
    let source = Source(next: next)
    return ReadAhead(itemCount: 1, threadCount: 1, queuedEvents: 1) { SourceAhead(source) }
  }

  func work(_ item: Int, _ put: (Event) throws -> Void) throws {
    while let event = try source.next() { try put(event) }
  }
}
