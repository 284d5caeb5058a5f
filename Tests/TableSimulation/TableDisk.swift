import Storage
import TestSupport

/// A disk for the small files of simulated tables: written once as a whole, as a table's files are.
///
/// Fault model: a crash keeps, empties, cuts or zeroes what was not synced, and keeps or loses each name
/// that came or went since the last sync of its folder. Files carry the storage's time, which is not the
/// clock of those who use it. Not simulated: lost folders, links, several threads.
final class TableDisk: FileSystem, @unchecked Sendable {
  // Unchecked: a history has one thread.
  final class Node {
    var bytes: [UInt8] = []
    var isSynced = false
    let modificationTime: Int64

    init(modificationTime: Int64) { self.modificationTime = modificationTime }
  }

  private struct Folder {
    var names: [String: Node] = [:]
    /// What the disk still has under the names that changed since the last sync; nil for nothing.
    var durable: [String: Node?] = [:]
    var folders: Set<String> = []
  }

  private var folders: [String: Folder] = ["/": Folder()]
  private var locks: Set<String> = []
  /// The storage's time, in microseconds since 1970.
  var time: Int64
  /// Called before each call: others act meanwhile, or it fails.
  var beforeCall: (_ operation: String, _ path: String) throws(StorageError) -> Void = {
    _, _ throws(StorageError) in
  }

  init(time: Int64) { self.time = time }

  private static func parts(_ path: String) -> (folder: String, name: String) {
    (StoragePath.directory(of: path), StoragePath.lastComponent(of: path))
  }

  private func node(_ path: String) -> Node? {
    let (folder, name) = Self.parts(path)
    return folders[folder]?.names[name]
  }

  private func set(_ path: String, _ node: Node?) throws(StorageError) {
    let (folder, name) = Self.parts(path)
    guard folders[folder] != nil else {
      throw StorageError(.notFound, operation: "change", path: path, message: "no such folder")
    }
    let old = folders[folder]?.names[name]
    if folders[folder]?.durable[name] == nil { folders[folder]?.durable[name] = .some(old) }
    folders[folder]?.names[name] = node
  }

  // MARK: What a history asks

  func contains(_ path: String) -> Bool { node(path) != nil }

  func bytes(_ path: String) -> [UInt8]? { node(path)?.bytes }

  /// All files at or below a folder, sorted.
  func paths(below folder: String) -> [String] {
    var paths: [String] = []
    for (name, content) in folders where name == folder || name.hasPrefix(folder + "/") {
      paths += content.names.keys.map { name + "/" + $0 }
    }
    return paths.sorted()
  }

  /// Stops the machine, and starts it again.
  func crash(_ generator: inout SeededGenerator) {
    locks = []
    for folder in folders.keys.sorted() {
      for (name, durable) in (folders[folder]?.durable ?? [:]).sorted(by: { $0.key < $1.key })
      where generator.oneIn(2) {
        folders[folder]?.names[name] = durable
      }
      folders[folder]?.durable = [:]
      for (_, node) in (folders[folder]?.names ?? [:]).sorted(by: { $0.key < $1.key })
      where !node.isSynced {
        switch generator.below(4) {
        case 0: node.bytes = []
        case 1: node.bytes = Array(node.bytes.prefix(generator.below(node.bytes.count + 1)))
        case 2: node.bytes = [UInt8](repeating: 0, count: node.bytes.count)
        default: break
        }
        node.isSynced = true
      }
    }
  }

  // MARK: FileSystem

  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
    try beforeCall("open", path)
    guard case .create = mode else {
      guard let node = node(path) else {
        throw StorageError(.notFound, operation: "open", path: path, message: "not found")
      }
      return TableDiskFile(path: path, node: node, disk: self)
    }
    guard node(path) == nil else {
      throw StorageError(.exists, operation: "create", path: path, message: "exists")
    }
    let node = Node(modificationTime: time)
    try set(path, node)
    return TableDiskFile(path: path, node: node, disk: self)
  }

  func createDirectory(_ path: String, withIntermediates: Bool) throws(StorageError) {
    try beforeCall("create directory", path)
    guard folders[path] == nil else { return }
    let (parent, name) = Self.parts(path)
    guard folders[parent] != nil else {
      throw StorageError(.notFound, operation: "create", path: path, message: "no such folder")
    }
    folders[path] = Folder()
    folders[parent]?.folders.insert(name)
  }

  func contentsOfDirectory(_ path: String) throws(StorageError) -> [String] {
    try beforeCall("list", path)
    guard let folder = folders[path] else {
      throw StorageError(.notFound, operation: "list", path: path, message: "not found")
    }
    return (Array(folder.names.keys) + Array(folder.folders)).sorted()
  }

  func information(_ path: String) throws(StorageError) -> FileInformation? {
    try beforeCall("examine", path)
    if let node = node(path) {
      return FileInformation(
        sizeBytes: Int64(node.bytes.count), isDirectory: false,
        modificationTimeMicroseconds: node.modificationTime)
    }
    guard folders[path] != nil else { return nil }
    return FileInformation(sizeBytes: 0, isDirectory: true, modificationTimeMicroseconds: time)
  }

  func removeFile(_ path: String) throws(StorageError) -> Bool {
    try beforeCall("remove", path)
    guard node(path) != nil else { return false }
    try set(path, nil)
    return true
  }

  func removeDirectory(_ path: String) throws(StorageError) -> Bool {
    throw StorageError(.inputOutput, operation: "remove", path: path, message: "not simulated")
  }

  func rename(_ path: String, to newPath: String, replacing: Bool) throws(StorageError) {
    throw StorageError(.inputOutput, operation: "rename", path: path, message: "not simulated")
  }

  func synchronizeDirectory(_ path: String) throws(StorageError) {
    try beforeCall("synchronize directory", path)
    folders[path]?.durable = [:]
  }

  func lock(_ path: String, holder: String) throws(StorageError) -> any FileLock {
    throw StorageError(.inputOutput, operation: "lock", path: path, message: "not simulated")
  }

  func availableBytes(_ path: String) throws(StorageError) -> Int64 { .max }

  func canonicalPath(_ path: String) throws(StorageError) -> String { path }
}

private final class TableDiskFile: File, @unchecked Sendable {
  // Unchecked: a history has one thread.
  let path: String
  private let node: TableDisk.Node
  private let disk: TableDisk

  init(path: String, node: TableDisk.Node, disk: TableDisk) {
    self.path = path
    self.node = node
    self.disk = disk
  }

  func size() throws(StorageError) -> Int64 { Int64(node.bytes.count) }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    try disk.beforeCall("read", path)
    let start = min(Int(byteOffset), node.bytes.count)
    let count = min(buffer.count, node.bytes.count - start)
    node.bytes.withUnsafeBytes {
      buffer.copyMemory(from: .init(rebasing: $0[start..<start + count]))
    }
    return count
  }

  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    guard byteOffset == node.bytes.count else {
      throw StorageError(.inputOutput, operation: "write", path: path, message: "not simulated")
    }
    do throws(StorageError) { try disk.beforeCall("write", path) } catch {
      // A failed write leaves a part of its bytes.
      node.bytes += bytes.prefix(bytes.count / 2)
      throw error
    }
    node.bytes += bytes
  }

  func synchronizeData() throws(StorageError) {
    try disk.beforeCall("synchronize", path)
    node.isSynced = true
  }

  func truncate(to sizeBytes: Int64) throws(StorageError) {
    throw StorageError(.inputOutput, operation: "truncate", path: path, message: "not simulated")
  }

  func allocate(sizeBytes: Int64) throws(StorageError) {
    throw StorageError(.inputOutput, operation: "allocate", path: path, message: "not simulated")
  }

  func discardCache() throws(StorageError) {}

  func close() throws(StorageError) {}
}
