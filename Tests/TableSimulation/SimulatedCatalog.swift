import Iceberg

/// A catalog whose answers get lost, before or after it did what it was asked, or do it much later.
final class SimulatedCatalog: Catalog, @unchecked Sendable {
  // Unchecked: a history has one thread.
  enum Lie: CaseIterable {
    case unknownThoughCommitted, lost, arrivesLater, conflictThoughCommitted, conflict
  }

  private let memory: InMemoryCatalog
  unowned let history: TableHistory
  /// A request that is still under way.
  private var late: (changes: [TableChange], operation: Operation)?

  init(_ memory: InMemoryCatalog, _ history: TableHistory) {
    self.memory = memory
    self.history = history
  }

  var name: String { memory.name }

  func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table {
    Table(
      identifier: identifier, state: try loadState(identifier), catalog: self, io: memory.io,
      clock: history.clock)
  }

  func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    do { try history.interrupt("load", identifier.name) } catch {
      throw .init(.inputOutput, "dead")
    }
    return try memory.loadState(identifier)
  }

  func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    guard let operation = history.operation else { throw .init(.unsupported, "no operation") }
    do { try history.interrupt("commit", "") } catch { throw .init(.commitStateUnknown, "dead") }
    switch history.lie() {
    case .lost: throw IcebergError(.commitStateUnknown, "the request was lost")
    case .conflict: throw IcebergError(.commitConflict, "busy")
    case .arrivesLater:
      late = (changes, operation)
      throw IcebergError(.commitStateUnknown, "no answer")
    case .unknownThoughCommitted:
      _ = try take(changes, operation)
      throw IcebergError(.commitStateUnknown, "the answer was lost")
    case .conflictThoughCommitted:
      _ = try take(changes, operation)
      throw IcebergError(.commitConflict, "an echo")
    case nil: return try take(changes, operation)
    }
  }

  /// How many commits are being handed to the catalog, one within another.
  private var takingCount = 0
  var isTaking: Bool { takingCount > 0 }

  private func take(
    _ changes: [TableChange], _ operation: Operation
  ) throws(IcebergError) -> [TableState] {
    takingCount += 1
    defer { takingCount -= 1 }
    let states = try memory.commit(changes)
    history.quietly {
      for (change, state) in zip(changes, states) {
        let table = Table(
          identifier: change.identifier, state: state, catalog: self, io: memory.io,
          clock: history.clock)
        history.oracle.accept(
          change, table, effect: operation.effects[change.identifier],
          isVacuum: operation.isVacuum)
      }
      history.accepted(operation, changes)
    }
    return states
  }

  /// The late request comes to the catalog, which may have moved on. Nobody waits for an answer.
  func deliverLateRequest() {
    guard let (changes, operation) = late else { return }
    late = nil
    do {
      _ = try take(changes, operation)
      history.note("late request taken")
    } catch { history.note("late request refused") }
  }

  func dropLateRequest(startedBefore time: Int64) {
    if let late, late.operation.startedAt < time { self.late = nil }
  }

  func createNamespace(_: Namespace, properties: [String: String]) throws(IcebergError) {}
  func listNamespaces() throws(IcebergError) -> [Namespace] { try memory.listNamespaces() }
  func namespaceProperties(_: Namespace) throws(IcebergError) -> [String: String] { [:] }
  func dropNamespace(_: Namespace) throws(IcebergError) {}
  func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier] {
    try memory.listTables(namespace)
  }
  func tableExists(_: TableIdentifier) throws(IcebergError) -> Bool { true }
  func createTable(_: TableIdentifier, _: TableDefinition) throws(IcebergError) -> Table {
    throw IcebergError(.unsupported, "not simulated")
  }
  func dropTable(_: TableIdentifier) throws(IcebergError) {}
  func renameTable(_: TableIdentifier, to _: TableIdentifier) throws(IcebergError) {}
  func registerTable(_: TableIdentifier, metadataLocation _: String) throws(IcebergError) -> Table {
    throw IcebergError(.unsupported, "not simulated")
  }
}
