internal import Storage

/// A directory that is being filled with copies of files, each synced; names are made durable at the end.
///
/// What an earlier backup has already can be linked instead. Not thread-safe.
struct BackupFolder {
  let root: String
  let fileSystem: any FileSystem
  /// The files so far, by name.
  private(set) var files: [String: BackupManifest.File] = [:]
  private(set) var copiedBytes: Int64 = 0
  private(set) var linkedBytes: Int64 = 0
  private var directories: Set<String> = []
  /// The backup whose files may be linked.
  private let earlier: (root: String, files: [String: BackupManifest.File])?
  /// Told of every piece of bytes that was copied or need not be.
  var progress: (Int64) -> Void

  private static let pieceBytes = 1 << 20

  init(
    root: String, fileSystem: any FileSystem,
    earlier: (directory: String, manifest: BackupManifest)? = nil,
    progress: @escaping (Int64) -> Void = { _ in }
  ) throws(StorageError) {
    self.root = root
    self.fileSystem = fileSystem
    self.progress = progress
    self.earlier = earlier.map { found in
      (
        found.directory,
        Dictionary(found.manifest.files.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
      )
    }
    try fileSystem.createDirectory(root, withIntermediates: true)
    directories.insert(root)
  }

  func path(_ name: String) -> String { StoragePath.join(root, name) }

  /// Makes the directories above a file.
  mutating func makeDirectory(of name: String) throws(StorageError) {
    var folder = root
    for part in name.split(separator: "/").dropLast() {
      folder = StoragePath.join(folder, String(part))
      guard directories.insert(folder).inserted else { continue }
      try fileSystem.createDirectory(folder, withIntermediates: false)
    }
  }

  mutating func write(
    _ bytes: [UInt8], as name: String, _ kind: BackupManifest.Kind
  ) throws(StorageError) {
    try makeDirectory(of: name)
    let file = try fileSystem.open(path(name), .create)
    try file.write(bytes, at: 0)
    try file.synchronizeData()
    try file.close()
    note(name, Int64(bytes.count), CRC32C(of: bytes.rawSpan).value, kind)
  }

  /// Copies the first bytes of a file.
  mutating func copy(
    _ source: any File, sizeBytes: Int64, as name: String, _ kind: BackupManifest.Kind
  ) throws(StorageError) {
    try makeDirectory(of: name)
    let file = try fileSystem.open(path(name), .create)
    let checksum = try Self.read(source, sizeBytes: sizeBytes) {
      bytes, offset throws(StorageError) in
      try file.write(bytes, at: offset)
      progress(Int64(bytes.byteCount))
    }
    try file.synchronizeData()
    try file.close()
    note(name, sizeBytes, checksum, kind)
  }

  private mutating func note(
    _ name: String, _ sizeBytes: Int64, _ checksum: UInt32, _ kind: BackupManifest.Kind
  ) {
    files[name] = BackupManifest.File(
      name: name, sizeBytes: sizeBytes, checksum: checksum, kind: kind)
    copiedBytes += sizeBytes
  }

  /// Takes note of a file that something else has written, and syncs it.
  mutating func adopt(_ name: String, _ kind: BackupManifest.Kind) throws(StorageError) {
    let file = try fileSystem.open(path(name), .readWrite)
    let size = try file.size()
    let checksum = try Self.read(file, sizeBytes: size) { _, _ in }
    try file.synchronizeData()
    try file.close()
    note(name, size, checksum, kind)
  }

  /// Links a file of the earlier backup; false when that has none of this name and size, or links are not
  /// to be had.
  ///
  /// - Parameter isSame: looks at the file closer.
  mutating func link(
    _ name: String, sizeBytes: Int64, isSame: (any File, UInt32) throws(StorageError) -> Bool
  ) throws(StorageError) -> Bool {
    guard let earlier, let known = earlier.files[name], known.sizeBytes == sizeBytes else {
      return false
    }
    let old = StoragePath.join(earlier.root, name)
    do throws(StorageError) {
      let file = try fileSystem.open(old, .read)
      guard try file.size() == sizeBytes, try isSame(file, known.checksum) else { return false }
      try file.close()
    } catch {
      // Whatever is wrong with the earlier backup, this one can do without.
      return false
    }
    try makeDirectory(of: name)
    guard try fileSystem.link(old, to: path(name)) else { return false }
    files[name] = known
    linkedBytes += sizeBytes
    progress(sizeBytes)
    return true
  }

  mutating func remove(_ name: String) throws(StorageError) {
    files[name] = nil
    try fileSystem.removeFile(path(name))
  }

  /// Makes all names durable.
  func synchronize() throws(StorageError) {
    for directory in directories.sorted(by: { $0.utf8.count > $1.utf8.count }) {
      try fileSystem.synchronizeDirectory(directory)
    }
  }

  /// Reads the first bytes of a file piece by piece; returns their CRC-32C.
  static func read(
    _ file: any File, sizeBytes: Int64,
    _ body: (RawSpan, Int64) throws(StorageError) -> Void
  ) throws(StorageError) -> UInt32 {
    var checksum = CRC32C()
    var offset: Int64 = 0
    while offset < sizeBytes {
      let count = Int(min(Int64(pieceBytes), sizeBytes - offset))
      let bytes = try file.read(count: count, at: offset)
      guard bytes.count == count else {
        throw StorageError(
          .inputOutput, operation: "read", path: file.path,
          message: "it ends at byte \(offset + Int64(bytes.count)) of \(sizeBytes)")
      }
      checksum.update(bytes.rawSpan)
      try body(bytes.rawSpan, offset)
      offset += Int64(count)
    }
    return checksum.value
  }
}
