import OnlineStore
import Storage
import TestSupport
import WriteAheadLog

/// Damage of every kind to the files of a small online store: it is found, or it harms nothing. Never a wrong
/// answer, never a missing one, and a purged key stays away.
public struct StoreDamage: Sendable {
  public enum Damage: Sendable {
    /// One bit of this byte is another.
    case byte(String, Int)
    case zeroedSector(String, Int)
    /// The sector at the first place has the content of the second.
    case movedSector(String, Int, from: String, Int)
    case shortened(String, count: Int)
    case missing(String)
    /// The content of a file of another moment, of another name, or of another store.
    case replaced(String, by: String, [UInt8])

    public var path: String {
      switch self {
      case .byte(let path, _), .zeroedSector(let path, _), .movedSector(let path, _, _, _),
        .shortened(let path, _), .missing(let path), .replaced(let path, _, _):
        path
      }
    }
  }

  public static let indexPath = "/log/INDEX"
  private let files: SimulatedFileSystem
  private let promise: StorePromise
  private let options = StoreSimulation.options(.synchronous)
  /// Every file as it was at earlier moments.
  private let past: [(name: String, path: String, bytes: [UInt8])]
  private let other: SimulatedFileSystem

  /// - Parameter isCovered: whether the checkpoint has everything; else records come after it.
  public init(isCovered: Bool) throws {
    var operations: [StoreRun.Operation] = [
      .batch, .delete, .checkpoint, .clean, .putOlder, .putNew, .checkpoint, .purge, .putNew,
      .conditional,
    ]
    if isCovered { operations.append(.checkpoint) }
    let files = SimulatedFileSystem()
    let run = try StoreRun(files, options)
    var past: [(name: String, path: String, bytes: [UInt8])] = []
    for (moment, operation) in operations.enumerated() {
      try run.perform(operation)
      for path in files.paths {
        past.append(("\(path) at \(moment)", path, files.bytes(of: path) ?? []))
      }
    }
    try run.store?.close()
    promise = run.promises[run.promises.count - 1]
    self.files = files
    self.past = past.filter { $0.bytes != files.bytes(of: $0.path) }
    other = SimulatedFileSystem()
    let stranger = try StoreRun(other, options)
    for operation in operations { try stranger.perform(operation) }
    try stranger.store?.close()
  }

  /// Every damage of every file; of moved sectors, and of the ends at which files are cut off, some.
  public var all: [Damage] {
    var all: [Damage] = []
    var generator = SeededGenerator(seed: 4)
    func sector(_ path: String) -> Int {
      generator.below(max(1, (files.bytes(of: path)?.count ?? 0) / 512)) * 512
    }
    for path in files.paths {
      let count = files.bytes(of: path)?.count ?? 0
      all += (0..<count).map { .byte(path, $0) }
      all += stride(from: 0, to: count, by: 512).map { .zeroedSector(path, $0) }
      all += stride(from: 0, to: count, by: max(1, count / 97)).map {
        .shortened(path, count: $0)
      }
      all.append(.missing(path))
      for origin in files.paths {
        for _ in 0..<8 {
          all.append(.movedSector(path, sector(path), from: origin, sector(origin)))
        }
        if origin != path {
          all.append(.replaced(path, by: origin, files.bytes(of: origin) ?? []))
        }
      }
      for origin in other.paths {
        all.append(.replaced(path, by: "another store's \(origin)", other.bytes(of: origin) ?? []))
      }
    }
    return all + past.map { .replaced($0.path, by: $0.name, $0.bytes) }
  }

  /// What is wrong with how the damaged store behaves; nil when the damage is found or harmless.
  public func problem(_ damage: Damage) throws -> (text: String?, isFound: Bool) {
    let disk = SimulatedFileSystem(copying: files, mapsFiles: mapsFiles(damage))
    guard try apply(damage, disk) else { return (nil, false) }
    let store: OnlineStore
    do throws(OnlineStoreError) {
      store = try OnlineStore.open(
        directory: "/log", fileSystem: disk, clock: FixedClock(), options: options)
    } catch {
      let isNeeded = damage.path != Self.indexPath
      return (isNeeded ? nil : "without the checkpoint it does not open: \(error)", true)
    }
    let expected = promise.states[0].answers
    var isFound = false
    for key in StoreState.keys {
      do throws(OnlineStoreError) {
        let found = try store.get(groupID: StoreState.groupID, key: key).map {
          StoreModel.Answer(
            eventTime: $0.entry.eventTime, lsn: $0.lsn, row: StoreModel.row($0.entry))
        }
        if found != expected[key[0]] {
          return (
            "key \(key[0]) answers LSN \(found?.lsn ?? 0), not \(expected[key[0]]?.lsn ?? 0)", false
          )
        }
      } catch { isFound = true }
    }
    do {
      if let broken = promise.violation(try FoundStore(store)) { return (broken, false) }
    } catch is OnlineStoreError { isFound = true }
    let damages = try store.inspect().damages
    if isFound, damages.isEmpty { return ("what cannot be read is not named", false) }
    try store.close()
    return (nil, isFound || !damages.isEmpty)
  }

  private func mapsFiles(_ damage: Damage) -> Bool {
    if case .byte(_, let index) = damage { return !index.isMultiple(of: 3) }
    return true
  }

  /// Whether there is a difference.
  private func apply(_ damage: Damage, _ disk: SimulatedFileSystem) throws -> Bool {
    let path = damage.path
    let whole = disk.bytes(of: path)
    var bytes = whole ?? []
    switch damage {
    case .byte(_, let index): bytes[index] ^= 1 << UInt8(index % 8)
    case .zeroedSector(_, let start):
      let end = min(start + 512, bytes.count)
      bytes.replaceSubrange(start..<end, with: [UInt8](repeating: 0, count: end - start))
    case .movedSector(_, let start, let origin, let source):
      let content = (disk.bytes(of: origin) ?? [])[source...].prefix(512)
      bytes.replaceSubrange(start..<min(start + content.count, bytes.count), with: content)
    case .shortened(_, let count): bytes.removeLast(bytes.count - count)
    case .missing:
      _ = try disk.removeFile(path)
      return true
    case .replaced(_, _, let content): bytes = content
    }
    if whole == nil { _ = try disk.open(path, .create) }
    disk.overwrite(path, with: bytes)
    return bytes != whole
  }
}
