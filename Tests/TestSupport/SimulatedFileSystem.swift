import Storage

/// A file system in memory that forgets like a real one.
///
/// Fault model: bytes written since the last sync survive a crash by 512-byte sector, each kept or
/// lost by seed, a sector written several times with any of the states it had; sizes survive or not.
/// Names created, renamed or removed since the last sync of their directory survive or not, each on
/// its own. A failed sync marks what it should have written as clean: it stays readable until the
/// cache is discarded, and later syncs return success without writing it (measured on ext4 and XFS).
/// Files can be mapped, so that the online store reads as it does for real; unless told otherwise, and
/// then it reads by calls, which can fail. Not simulated: links, permissions, several processes.
public final class SimulatedFileSystem: FileSystem, @unchecked Sendable {
  // Unchecked: everything below is touched under the lock.
  let state = Lock(State())

  final class Node {
    /// What a read sees.
    var live: [UInt8] = []
    /// What the disk holds.
    var durable: [UInt8] = []
    /// Sectors that differ because they were written since the last sync, with the states they had.
    var dirty: [Int: [[UInt8]]] = [:]
    var mappings: [Reference] = []
  }

  struct State {
    /// Names as they are seen and as the disk holds them; values are files.
    var names: [String: Node] = [:]
    var durableNames: [String: Node] = [:]
    var directories: Set<String> = ["/"]
    var mapsFiles = true
    var locks: Set<String> = []
    var calls = 0
    var bytesRead = 0
    /// Called before each sync of a file, without the lock.
    var beforeSynchronizing: (@Sendable () -> Void)?
    /// How many bytes all files may have together.
    var capacityBytes = Int64.max
    var fault: Fault?
    var isCrashed = false
    /// Syncs that do nothing, for mutation checks.
    var ignoresSynchronization = false
    var ignoresDirectorySynchronization = false
    /// What the disk could hold before each call that changes it.
    var images: [Image]?
    var tag = 0
  }

  /// The call with this number (from 1) fails.
  public struct Fault: Sendable {
    public enum Kind: Sendable { case inputOutput, full, crash }
    public var call: Int
    public var kind: Kind
    /// All calls after it fail too.
    public var lasts: Bool

    public init(call: Int, kind: Kind, lasts: Bool = false) {
      self.call = call
      self.kind = kind
      self.lasts = lasts
    }
  }

  static let sector = 512

  public init(mapsFiles: Bool = true) { state.withLock { $0.mapsFiles = mapsFiles } }

  public var calls: Int { state.withLock { $0.calls } }

  /// Runs `body` before each sync of a file's bytes: it may take its time, while other calls go on.
  public func beforeSynchronizing(_ body: (@Sendable () -> Void)?) {
    state.withLock { $0.beforeSynchronizing = body }
  }

  /// Gives the disk a size; a file that would grow beyond fails with `.full`.
  public func limit(toBytes capacityBytes: Int64) {
    state.withLock { $0.capacityBytes = capacityBytes }
  }

  public var usedBytes: Int64 { state.withLock { Self.usedBytes($0) } }

  static func usedBytes(_ state: State) -> Int64 {
    state.names.values.reduce(0) { $0 + Int64($1.live.count) }
  }

  static func checkSpace(
    _ state: State, _ node: Node, end: Int, _ operation: String, _ path: String
  ) throws(StorageError) {
    guard state.capacityBytes < .max, end > node.live.count else { return }
    guard usedBytes(state) + Int64(end - node.live.count) <= state.capacityBytes else {
      throw StorageError(
        .full, operation: operation, path: path, errorNumber: 28, message: "no space")
    }
  }

  /// How many bytes were ever read from files.
  public var bytesRead: Int { state.withLock { $0.bytesRead } }

  public func inject(_ fault: Fault?) {
    state.withLock {
      $0.calls = 0
      $0.fault = fault
    }
  }

  /// Makes every sync do nothing, to see that tests notice.
  public func ignoreSynchronization(ofDirectories: Bool = true, ofFiles: Bool = true) {
    state.withLock {
      $0.ignoresSynchronization = ofFiles
      $0.ignoresDirectorySynchronization = ofDirectories
    }
  }

  /// A file's bytes as they are seen, to look at or to damage.
  public func bytes(of path: String) -> [UInt8]? { state.withLock { $0.names[path]?.live } }

  public func overwrite(_ path: String, with bytes: [UInt8]) {
    state.withLock {
      $0.names[path]?.live = bytes
      $0.names[path]?.durable = bytes
      $0.names[path]?.dirty = [:]
      $0.names[path]?.show(0..<bytes.count)
    }
  }

  public var paths: [String] { state.withLock { $0.names.keys.sorted() } }

  /// Counts a call and fails it if it is the one.
  static func step(
    _ state: inout State, _ operation: String, _ path: String
  ) throws(StorageError) {
    func failure(_ kind: StorageError.Kind, _ message: String) -> StorageError {
      StorageError(kind, operation: operation, path: path, errorNumber: 5, message: message)
    }
    if state.isCrashed { throw failure(.inputOutput, "the machine is down") }
    state.calls += 1
    record(&state, operation, path)
    guard let fault = state.fault,
      fault.call == state.calls || fault.lasts && fault.call < state.calls
    else { return }
    switch fault.kind {
    case .inputOutput: throw failure(.inputOutput, "injected")
    case .full: throw failure(.full, "injected")
    case .crash:
      state.isCrashed = true
      throw failure(.inputOutput, "the machine is down")
    }
  }

  public func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
    let node = try state.withLock { state throws(StorageError) -> Node in
      try Self.step(&state, "open", path)
      if case .create = mode {
        guard state.names[path] == nil else {
          throw StorageError(.exists, operation: "create", path: path, message: "exists")
        }
        let node = Node()
        state.names[path] = node
        return node
      }
      guard let node = state.names[path] else {
        throw StorageError(.notFound, operation: "open", path: path, message: "not found")
      }
      return node
    }
    return SimulatedFile(path: path, node: node, system: self)
  }

  public func createDirectory(_ path: String, withIntermediates: Bool) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "create directory", path)
      _ = state.directories.insert(path)
    }
  }

  public func contentsOfDirectory(_ path: String) throws(StorageError) -> [String] {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "list", path)
      return state.names.keys.filter { StoragePath.directory(of: $0) == path }
        .map { StoragePath.lastComponent(of: $0) }.sorted()
    }
  }

  public func information(_ path: String) throws(StorageError) -> FileInformation? {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "examine", path)
      if let node = state.names[path] {
        return FileInformation(
          sizeBytes: Int64(node.live.count), isDirectory: false, modificationTimeMicroseconds: 0)
      }
      guard state.directories.contains(path) else { return nil }
      return FileInformation(sizeBytes: 0, isDirectory: true, modificationTimeMicroseconds: 0)
    }
  }

  public func removeFile(_ path: String) throws(StorageError) -> Bool {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "remove", path)
      return state.names.removeValue(forKey: path) != nil
    }
  }

  public func removeDirectory(_ path: String) throws(StorageError) -> Bool {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "remove directory", path)
      return state.directories.remove(path) != nil
    }
  }

  public func rename(
    _ path: String, to newPath: String, replacing: Bool
  ) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "rename", path)
      guard let node = state.names[path] else {
        throw StorageError(.notFound, operation: "rename", path: path, message: "not found")
      }
      guard replacing || state.names[newPath] == nil else {
        throw StorageError(.exists, operation: "rename", path: newPath, message: "exists")
      }
      state.names[path] = nil
      state.names[newPath] = node
    }
  }

  public func synchronizeDirectory(_ path: String) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "synchronize directory", path)
      if state.ignoresDirectorySynchronization { return }
      for name in Set(state.names.keys).union(state.durableNames.keys)
      where StoragePath.directory(of: name) == path {
        state.durableNames[name] = state.names[name]
      }
    }
  }

  public func lock(_ path: String, holder: String) throws(StorageError) -> any FileLock {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "lock", path)
      guard state.locks.insert(path).inserted else {
        throw StorageError(.locked, operation: "lock", path: path, message: "held")
      }
    }
    return SimulatedLock(path: path, system: self)
  }

  public func availableBytes(_ path: String) throws(StorageError) -> Int64 {
    try state.withLock { state throws(StorageError) in
      try Self.step(&state, "examine", path)
      return state.capacityBytes < .max ? state.capacityBytes - Self.usedBytes(state) : .max
    }
  }

  public func canonicalPath(_ path: String) throws(StorageError) -> String { path }
}

final class SimulatedLock: FileLock {
  private let path: String
  private let system: SimulatedFileSystem

  init(path: String, system: SimulatedFileSystem) {
    self.path = path
    self.system = system
  }

  func release() { system.state.withLock { _ = $0.locks.remove(path) } }
}

final class SimulatedFile: File, @unchecked Sendable {
  // Unchecked: the node is touched under the system's lock.
  let path: String
  private let node: SimulatedFileSystem.Node
  private let system: SimulatedFileSystem

  init(path: String, node: SimulatedFileSystem.Node, system: SimulatedFileSystem) {
    self.path = path
    self.node = node
    self.system = system
  }

  func size() throws(StorageError) -> Int64 {
    try system.state.withLock { state throws(StorageError) in
      try SimulatedFileSystem.step(&state, "examine", path)
      return Int64(node.live.count)
    }
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    try system.state.withLock { state throws(StorageError) in
      try SimulatedFileSystem.step(&state, "read", path)
      let start = min(Int(byteOffset), node.live.count)
      let count = min(buffer.count, node.live.count - start)
      buffer.copyBytes(from: node.live[start..<start + count])
      state.bytesRead += count
      return count
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    try system.state.withLock { state throws(StorageError) in
      var failure: StorageError?
      var count = bytes.count
      try SimulatedFileSystem.checkSpace(
        state, node, end: Int(byteOffset) + bytes.count, "write", path)
      do throws(StorageError) {
        try SimulatedFileSystem.step(&state, "write", path)
      } catch {
        // A failed write leaves a part of its bytes.
        failure = error
        count = bytes.count / 2
      }
      let start = Int(byteOffset)
      let end = start + count
      if node.live.count < end {
        node.live += [UInt8](repeating: 0, count: end - node.live.count)
      }
      node.live.replaceSubrange(start..<end, with: bytes[..<count])
      node.show(start..<end)
      let size = SimulatedFileSystem.sector
      if count > 0 {
        for sector in start / size...(end - 1) / size {
          let content = node.live[sector * size..<min((sector + 1) * size, node.live.count)]
          node.dirty[sector, default: []].append(Array(content))
        }
      }
      if let failure { throw failure }
    }
  }

  func synchronizeData() throws(StorageError) {
    system.state.withLock { $0.beforeSynchronizing }?()
    try system.state.withLock { state throws(StorageError) in
      do throws(StorageError) {
        try SimulatedFileSystem.step(&state, "synchronize", path)
      } catch {
        // The pages count as clean from now on, though the disk does not have them.
        if !state.isCrashed { node.dirty = [:] }
        throw error
      }
      if state.ignoresSynchronization { return }
      let size = SimulatedFileSystem.sector
      if node.durable.count > node.live.count {
        node.durable.removeLast(node.durable.count - node.live.count)
      }
      for (sector, states) in node.dirty {
        guard let content = states.last else { continue }
        let end = sector * size + content.count
        if node.durable.count < end {
          node.durable += [UInt8](repeating: 0, count: end - node.durable.count)
        }
        node.durable.replaceSubrange(sector * size..<end, with: content)
      }
      node.dirty = [:]
    }
  }

  func truncate(to sizeBytes: Int64) throws(StorageError) {
    try system.state.withLock { state throws(StorageError) in
      try SimulatedFileSystem.step(&state, "truncate", path)
      let size = Int(sizeBytes)
      node.checkTruncation(to: size)
      if node.live.count > size {
        node.live.removeLast(node.live.count - size)
      } else {
        node.live += [UInt8](repeating: 0, count: size - node.live.count)
      }
      node.dirty = node.dirty.filter { $0.key * SimulatedFileSystem.sector < size }
    }
  }

  func allocate(sizeBytes: Int64) throws(StorageError) {
    try system.state.withLock { state throws(StorageError) in
      try SimulatedFileSystem.step(&state, "allocate", path)
      let size = Int(sizeBytes)
      try SimulatedFileSystem.checkSpace(state, node, end: size, "allocate", path)
      guard node.live.count < size else { return }
      node.live += [UInt8](repeating: 0, count: size - node.live.count)
    }
  }

  func discardCache() throws(StorageError) {
    try system.state.withLock { state throws(StorageError) in
      try SimulatedFileSystem.step(&state, "discard cache", path)
      // Dirty pages stay; what only looked clean is read from the disk again. The size stays too.
      let size = node.live.count
      var bytes = Array(node.durable.prefix(size))
      bytes += [UInt8](repeating: 0, count: size - bytes.count)
      for (sector, states) in node.dirty {
        guard let content = states.last else { continue }
        let start = sector * SimulatedFileSystem.sector
        let end = min(start + content.count, size)
        bytes.replaceSubrange(start..<end, with: content.prefix(end - start))
      }
      node.live = bytes
      node.show(0..<bytes.count)
    }
  }

  func map(count: Int) -> MappedBytes? {
    system.state.withLock { state in state.mapsFiles ? node.map(count: count) : nil }
  }

  func close() throws(StorageError) {}
}
