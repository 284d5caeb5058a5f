import Iceberg

/// Something that is to happen once, if it is acknowledged.
final class Operation {
  let name: String
  /// What it does to the rows of each table.
  let effects: [TableIdentifier: (RowOracle.Rows) -> RowOracle.Rows]
  let startedAt: Int64
  let isVacuum: Bool
  /// How often the catalog took it.
  var acceptedCount = 0

  init(
    _ name: String, startedAt: Int64, isVacuum: Bool = false,
    _ effects: [TableIdentifier: (RowOracle.Rows) -> RowOracle.Rows] = [:]
  ) {
    self.name = name
    self.startedAt = startedAt
    self.isVacuum = isVacuum
    self.effects = effects
  }
}

/// One process that works with the tables, in steps; between its steps, and within them at any of its
/// calls, others have theirs.
final class Actor {
  enum Kind: CaseIterable { case writer, compactor, expirer, orphanRemover, tagger, reader }

  let name: String
  let kind: Kind
  /// The rest of what it began.
  var rest: (() throws -> Void)?
  var startedAt: Int64 = 0
  /// How many expiries there had been by then: what was expired since may be missing.
  var expiriesBefore = 0
  /// It is within a step.
  var isRunning = false
  /// It was killed: none of its calls does anything.
  var isDead = false
  var operation: Operation?

  init(_ name: String, _ kind: Kind) {
    self.name = name
    self.kind = kind
  }
}
