import Storage

/// A real file system of which a call fails, once or from then on: for what needs real files.
///
/// What changes the disk and fails has not happened, but of a write half has. What is mapped is read without
/// calls, so it never fails.
public final class FailingFileSystem: FileSystem {
  public typealias Fault = SimulatedFileSystem.Fault

  private struct State {
    var calls = 0
    var fault: Fault?
    var watcher: (@Sendable (_ operation: String, _ path: String) -> Void)?
  }

  private let base: any FileSystem
  private let state = Lock(State())

  public init(_ base: any FileSystem) { self.base = base }

  /// Calls since the last `inject`.
  public var calls: Int { state.withLock { $0.calls } }

  public func inject(_ fault: Fault?) {
    state.withLock { ($0.calls, $0.fault) = (0, fault) }
  }

  /// Tells `body` of each call before it is made, so that something else may come first.
  public func watch(_ body: (@Sendable (_ operation: String, _ path: String) -> Void)?) {
    state.withLock { $0.watcher = body }
  }

  fileprivate func step(_ operation: String, _ path: String) throws(StorageError) {
    state.withLock { $0.watcher }?(operation, path)
    let kind: Fault.Kind? = state.withLock { state in
      state.calls += 1
      guard let fault = state.fault,
        fault.call == state.calls || fault.lasts && fault.call < state.calls
      else { return nil }
      return fault.kind
    }
    guard let kind else { return }
    throw StorageError(
      kind == .full ? .full : .inputOutput, operation: operation, path: path,
      errorNumber: kind == .full ? 28 : 5, message: "injected")
  }

  public func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
    try step("open", path)
    return FailingFile(try base.open(path, mode), self)
  }

  public func createDirectory(_ path: String, withIntermediates: Bool) throws(StorageError) {
    try step("create directory", path)
    try base.createDirectory(path, withIntermediates: withIntermediates)
  }

  public func contentsOfDirectory(_ path: String) throws(StorageError) -> [String] {
    try step("list", path)
    return try base.contentsOfDirectory(path)
  }

  public func information(_ path: String) throws(StorageError) -> FileInformation? {
    try step("examine", path)
    return try base.information(path)
  }

  public func removeFile(_ path: String) throws(StorageError) -> Bool {
    try step("remove", path)
    return try base.removeFile(path)
  }

  public func removeDirectory(_ path: String) throws(StorageError) -> Bool {
    try step("remove directory", path)
    return try base.removeDirectory(path)
  }

  public func rename(
    _ path: String, to newPath: String, replacing: Bool
  ) throws(StorageError) {
    try step("rename", path)
    try base.rename(path, to: newPath, replacing: replacing)
  }

  public func link(_ path: String, to newPath: String) throws(StorageError) -> Bool {
    try step("link", path)
    return try base.link(path, to: newPath)
  }

  public func synchronizeDirectory(_ path: String) throws(StorageError) {
    try step("synchronize directory", path)
    try base.synchronizeDirectory(path)
  }

  public func lock(_ path: String, holder: String) throws(StorageError) -> any FileLock {
    try step("lock", path)
    return try base.lock(path, holder: holder)
  }

  public func availableBytes(_ path: String) throws(StorageError) -> Int64 {
    try step("examine", path)
    return try base.availableBytes(path)
  }

  public func canonicalPath(_ path: String) throws(StorageError) -> String {
    try step("examine", path)
    return try base.canonicalPath(path)
  }
}

private final class FailingFile: File {
  private let base: any File
  private let system: FailingFileSystem

  init(_ base: any File, _ system: FailingFileSystem) {
    self.base = base
    self.system = system
  }

  var path: String { base.path }

  func size() throws(StorageError) -> Int64 {
    try system.step("examine", path)
    return try base.size()
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    try system.step("read", path)
    return try base.read(into: buffer, at: byteOffset)
  }

  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    do throws(StorageError) { try system.step("write", path) } catch {
      let half = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)])
      try base.write(half, at: byteOffset)
      throw error
    }
    try base.write(bytes, at: byteOffset)
  }

  func synchronizeData() throws(StorageError) {
    try system.step("synchronize", path)
    try base.synchronizeData()
  }

  func map(count: Int) -> MappedBytes? { base.map(count: count) }

  func truncate(to sizeBytes: Int64) throws(StorageError) {
    try system.step("truncate", path)
    try base.truncate(to: sizeBytes)
  }

  func allocate(sizeBytes: Int64) throws(StorageError) {
    try system.step("allocate", path)
    try base.allocate(sizeBytes: sizeBytes)
  }

  func discardCache() throws(StorageError) {
    try system.step("discard cache", path)
    try base.discardCache()
  }

  func close() throws(StorageError) { try base.close() }
}
