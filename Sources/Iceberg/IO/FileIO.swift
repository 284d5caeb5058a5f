public import Storage

/// How a table's files are read and written: locations on top of a file system.
///
/// Files of a table never change once written, so a new file is created exclusively, and it and
/// its name are durable before anybody is told of it. Thread-safe.
public struct FileIO: Sendable {
  public let fileSystem: any FileSystem
  /// Folders outside which nothing is read, written or deleted, whatever paths and links say. nil allows
  /// any local path; the files of tables, which a catalog hands out, then lie in the catalog's warehouse
  /// or in the table's own folder.
  public let allowedRoots: [String]?

  /// - Parameter allowedRoots: absolute paths or locations; all that tables may use, when there are any.
  public init(
    fileSystem: any FileSystem, allowedRoots: [String]? = nil
  ) throws(IcebergError) {
    self.fileSystem = fileSystem
    guard let allowedRoots else {
      self.allowedRoots = nil
      return
    }
    var roots: [String] = []
    for root in allowedRoots { roots.append(try Location.comparable(root)) }
    self.allowedRoots = roots
  }

  /// The local path of a location that may be accessed.
  public func path(of location: String) throws(IcebergError) -> String {
    let path = try Location.path(of: location)
    guard try isAllowed(path) else {
      throw IcebergError(.invalidMetadata, "'\(location)' is outside the folders that may be used")
    }
    return path
  }

  /// Whether a path says that it is in one of the allowed folders; what its links say is seen when it is
  /// opened.
  private func isAllowed(_ path: String) throws(IcebergError) -> Bool {
    guard let allowedRoots else { return true }
    let comparable = try Location.comparable(path)
    return allowedRoots.contains { root in
      comparable == root || comparable.utf8.starts(with: (root == "/" ? root : root + "/").utf8)
    }
  }

  /// Opens a file for reading.
  public func open(_ location: String) throws(IcebergError) -> any File {
    try open(path: try path(of: location), .read)
  }

  /// Opens a new file for writing, with the folders above it. Ends with `publish` or `abandon`.
  public func create(_ location: String) throws(IcebergError) -> any File {
    let path = try path(of: location)
    do throws(IcebergError) { return try open(path: path, .create) } catch {
      guard error.kind == .notFound else { throw error }
    }
    try createDirectories(Location.parent(of: path))
    return try open(path: path, .create)
  }

  /// Makes a file and its name durable and closes it. After a failure the file is worthless.
  public func publish(_ file: any File) throws(IcebergError) {
    try seal(file)
    try synchronizeFolders([Location.parent(of: file.path)])
  }

  /// Makes a file durable, though not its name, and closes it.
  func seal(_ file: any File) throws(IcebergError) {
    do {
      try file.synchronizeData()
      try file.close()
    } catch { throw IcebergError(error) }
  }

  /// Makes the names in folders durable.
  func synchronizeFolders(_ folders: Set<String>) throws(IcebergError) {
    for folder in folders.sorted() {
      let path = try path(of: folder)
      do { try fileSystem.synchronizeDirectory(path) } catch { throw IcebergError(error) }
    }
  }

  /// Writes a new file and makes it durable; removes it again if that fails.
  public func write(_ location: String, _ bytes: [UInt8]) throws(IcebergError) {
    try write(location, bytes) { file throws(IcebergError) in try publish(file) }
  }

  /// Writes a new file and ends it in one way or another; removes it again if that fails.
  func write(
    _ location: String, _ bytes: [UInt8], _ end: (any File) throws(IcebergError) -> Void
  ) throws(IcebergError) {
    let file = try create(location)
    do throws(IcebergError) {
      try fill(file, bytes)
      try end(file)
    } catch {
      abandon(file)
      throw error
    }
  }

  /// Writes bytes at the start of a new file.
  func fill(_ file: any File, _ bytes: [UInt8]) throws(IcebergError) {
    do throws(StorageError) {
      try unsafe bytes.withUnsafeBufferPointer { buffer throws(StorageError) in
        unsafe try file.write(UnsafeRawBufferPointer(buffer), at: 0)
      }
    } catch { throw IcebergError(error) }
  }

  /// Closes and removes a file that was never told to anybody. Failing to is no error: a file that
  /// nothing refers to is an orphan, which `vacuum` removes.
  public func abandon(_ file: any File) {
    do {
      try file.close()
      try fileSystem.removeFile(file.path)
    } catch { return }
  }

  /// The whole content of a file of at most `maximumSizeBytes`.
  public func readAll(
    _ location: String, maximumSizeBytes: Int64 = 1 << 30
  ) throws(IcebergError) -> [UInt8] {
    let file = try open(location)
    let size: Int64
    do { size = try file.size() } catch { throw IcebergError(error) }
    guard size <= maximumSizeBytes else {
      throw IcebergError(
        .invalidMetadata, "'\(location)' has \(size) bytes; at most \(maximumSizeBytes) are read")
    }
    var bytes = [UInt8](repeating: 0, count: Int(size))
    let count: Int
    do throws(StorageError) {
      count = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(StorageError) in
        unsafe try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
      }
      try file.close()
    } catch { throw IcebergError(error) }
    guard count == bytes.count else {
      throw IcebergError(.inputOutput, "'\(location)' became shorter while it was read")
    }
    return bytes
  }

  /// What is at a location; nil when nothing is.
  public func information(_ location: String) throws(IcebergError) -> FileInformation? {
    let path = try path(of: location)
    return try information(path: path)
  }

  /// Removes a file; false when there was none.
  @discardableResult
  public func delete(_ location: String) throws(IcebergError) -> Bool {
    let path = try path(of: location)
    do {
      guard let allowedRoots else { return try fileSystem.removeFile(path) }
      return try fileSystem.removeFile(path, within: allowedRoots)
    } catch { throw IcebergError(error) }
  }

  /// Removes files, going on after a failure: for clean-up that must not fail the work it follows.
  ///
  /// - Returns: one line a file that could not be removed.
  @discardableResult
  public func deleteAll(_ locations: some Sequence<String>) -> [String] {
    var failures: [String] = []
    for location in locations {
      do { try delete(location) } catch { failures.append(error.description) }
    }
    return failures
  }

  private func open(path: String, _ mode: OpenMode) throws(IcebergError) -> any File {
    do {
      guard let allowedRoots else { return try fileSystem.open(path, mode) }
      return try fileSystem.open(path, mode, within: allowedRoots)
    } catch { throw IcebergError(error) }
  }

  private func information(path: String) throws(IcebergError) -> FileInformation? {
    do {
      guard let allowedRoots else { return try fileSystem.information(path) }
      return try fileSystem.information(path, within: allowedRoots)
    } catch { throw IcebergError(error) }
  }

  /// What is at a path above or in the allowed folders.
  private func folder(_ path: String) throws(IcebergError) -> FileInformation? {
    if try isAllowed(path) { return try information(path: path) }
    do { return try fileSystem.information(path) } catch { throw IcebergError(error) }
  }

  /// Creates a folder and those above it, each name made durable before the next is created.
  private func createDirectories(_ path: String) throws(IcebergError) {
    var missing: [String] = []
    var current = path
    while try folder(current) == nil {
      missing.append(current)
      let parent = Location.parent(of: current)
      guard parent != current, !parent.isEmpty else { break }
      current = parent
    }
    do {
      for directory in missing.reversed() {
        try fileSystem.createDirectory(directory, withIntermediates: false)
        try fileSystem.synchronizeDirectory(Location.parent(of: directory))
      }
    } catch { throw IcebergError(error) }
  }
}

extension IcebergError {
  /// A failure of the storage below.
  package init(_ error: StorageError) {
    let kind: Kind =
      switch error.kind {
      case .notFound: .notFound
      case .exists: .alreadyExists
      case .outside: .invalidMetadata
      default: .inputOutput
      }
    self.init(kind, error.description, storageError: error)
  }

  /// Whether the disk is full or not writable, so that writing anything else would fail, too.
  package var saysDiskIsUnusable: Bool {
    storageError?.kind == .full || storageError?.kind == .readOnly
  }
}
