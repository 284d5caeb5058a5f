import FeatureModel
import FeatureStore
import Foundation
import Storage
import TestSupport
import Testing

/// A process that works with a store until it dies, and what must be true afterwards.
///
/// Its notes are lines of what was acknowledged: `p NAME NUMBER` a put, `d NAME` a delete, `x NAME` a
/// purge; `- NAME` before a delete or a purge, which may have come to pass without an acknowledgement.
struct Mortal: Sendable {
  let directory: String
  let seed: UInt64
  let notes: Notes
  private let notesPath: String
  let death: Death
  /// It dies while it opens the store and recovers what the last one left, not while it works.
  let diesYoung: Bool

  static var options: FeatureStore.Options {
    var options = FeatureStore.Options()
    // Small, so that segments follow each other and are cleaned within the life of a process.
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 128 << 10
    return options
  }

  static func prepare(_ directory: String) throws {
    let store = try FeatureStore.open(at: directory, options: options)
    try store.createGroup(StoreFixture.group())
    try store.close()
  }

  init(_ directory: String, notes path: String, seed: UInt64, disk: String?) {
    self.directory = directory
    self.seed = seed
    var generator = SeededGenerator(seed: seed)
    diesYoung = generator.oneIn(6)
    death = Death(
      delayMicroseconds: UInt32(generator.below(diesYoung ? 40_000 : 80_000)), disk: disk)
    notesPath = path
    notes = Notes(path)
  }

  func live() {
    if diesYoung { death.arm(notes) }
    Death.guarded(notes) { try work(try FeatureStore.open(at: directory, options: Self.options)) }
  }

  private func work(_ store: FeatureStore) throws {
    for thread in 0..<3 {
      Thread.detachNewThread { Death.guarded(notes) { try put(store, thread) } }
    }
    Thread.detachNewThread { Death.guarded(notes) { try forget(store) } }
    Thread.detachNewThread {
      Death.guarded(notes) {
        while true {
          usleep(3000)
          _ = try store.flush()
        }
      }
    }
    if seed.isMultiple(of: 2) {
      try ingest(store)
    }
    while true { sleep(60) }
  }

  private func name(_ thread: Int, _ number: Int) -> String { "s\(seed)t\(thread)n\(number)" }

  private func acknowledge(_ line: String) {
    notes.note(line)
    // Every thread may come here first; to die twice at once is to die once.
    if !diesYoung, line.hasSuffix("n0 0") { death.arm(notes) }
  }

  /// Puts record after record, and reads what it put.
  private func put(_ store: FeatureStore, _ thread: Int) throws {
    var number = 0
    while true {
      let name = name(thread, number)
      try store.put(
        "readings",
        fields: [
          "sensor": name, "at": "2026-01-01T00:00:00Z", "value": "\(number)",
          "note": String(repeating: "n", count: number % 700),
        ])
      acknowledge("p \(name) \(number)")
      let answer = try store.get("readings", fields: ["sensor": name], features: ["value"])
      if answer[0].value != .long(Int64(number)) { abort() }
      number += 1
    }
  }

  /// Puts records and deletes or purges them again.
  private func forget(_ store: FeatureStore) throws {
    var number = 0
    while true {
      let name = name(9, number)
      try store.put(
        "readings",
        fields: ["sensor": name, "at": "2026-01-01T00:00:00Z", "value": "\(number)"])
      acknowledge("p \(name) \(number)")
      if !number.isMultiple(of: 3) {
        notes.note("- \(name)")
        if number % 3 == 1 {
          try store.delete("readings", key: ["sensor": name], eventTime: "2026-01-02T00:00:00Z")
          notes.note("d \(name)")
        } else {
          try store.purge("readings", key: ["sensor": name])
          notes.note("x \(name)")
        }
      }
      number += 1
    }
  }

  private func ingest(_ store: FeatureStore) throws {
    let count = 20_000
    let rows = (0..<count).map { "\(name(8, $0)),2026-01-01T00:00:00Z,\($0)\n" }.joined()
    let file = notesPath + ".csv"
    try ("sensor,at,value\n" + rows).write(toFile: file, atomically: true, encoding: .utf8)
    var options = IngestOptions()
    options.flushEveryRows = 500
    let mortal = self
    var done = 0
    Death.guarded(notes) {
      _ = try store.ingest("readings", file: file, options: options) { progress in
        let lines = (done..<progress.acceptedCount).map { "p \(mortal.name(8, $0)) \($0)" }
        if !lines.isEmpty { mortal.notes.note(lines.joined(separator: "\n")) }
        done = progress.acceptedCount
      }
    }
  }

  // MARK: Afterwards

  /// Opens the store again and compares it with what was acknowledged.
  static func check(_ directory: String, _ noted: [[String]], _ label: Comment) throws {
    let store = try FeatureStore.open(at: directory, options: options)
    try checkOnline(store, noted, label)
    _ = try store.flush()
    #expect(store.cleaningFailure == nil, label)
    let rows = try StoreFixture.offlineRows(store)
    #expect(Set(rows.map(\.lsn)).count == rows.count, label)
    let puts = rows.filter { !$0.isDeleted }.map(\.sensor)
    let deletes = rows.filter(\.isDeleted).map(\.sensor)
    #expect(Set(puts).count == puts.count, label)
    #expect(Set(deletes).count == deletes.count, label)
    func acknowledged(_ kind: String) -> Set<String> {
      Set(noted.filter { $0[0] == kind }.map { $0[1] })
    }
    #expect(acknowledged("p").subtracting(puts).isEmpty, label)
    #expect(acknowledged("d").subtracting(deletes).isEmpty, label)
    // Nothing that was never tried.
    #expect(Set(deletes).subtracting(acknowledged("-")).isEmpty, label)
    try store.close()
  }

  /// The newest few hundred answer as they were acknowledged.
  private static func checkOnline(
    _ store: FeatureStore, _ noted: [[String]], _ label: Comment
  ) throws {
    var states: [String: String] = [:]
    var numbers: [String: Int64] = [:]
    for line in noted {
      if line[0] == "p" { numbers[line[1]] = Int64(line[2]) }
      states[line[1]] = line[0]
    }
    for name in Set(noted.suffix(150).map { $0[1] }).union(noted.prefix(20).map { $0[1] }) {
      let answer = try store.get("readings", fields: ["sensor": name], features: ["value"])[0]
      let isPut = answer.value == numbers[name].map { .long($0) }
      switch states[name] {
      case "p": #expect(isPut, "\(label): \(name) is \(answer.status)")
      case "d": #expect(answer.status == .deleted, "\(label): \(name) is \(answer.status)")
      case "x": #expect(answer.status == .neverWritten, "\(label): \(name) is \(answer.status)")
      default:
        #expect(isPut || answer.status == .deleted || answer.status == .neverWritten, label)
      }
    }
  }
}
