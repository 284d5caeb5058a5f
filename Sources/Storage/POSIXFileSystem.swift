internal import CSystem
internal import Glibc

/// The operating system's files. Descriptors are close-on-exec; what is created is private to its
/// user (0600, directories 0700); files opened for writing are never reached through a link.
public struct POSIXFileSystem: FileSystem {
  /// Whether the kernel may be asked to hold paths below a folder; false is for tests.
  let asksKernel: Bool

  public init() { asksKernel = true }

  package init(asksKernel: Bool) { self.asksKernel = asksKernel }

  public func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
    let descriptor = try retryingInterrupts(mode.operation, path) {
      Int(unsafe Glibc.open(path, mode.flags, 0o600))
    }
    return try file(path, Int32(truncatingIfNeeded: descriptor), mode)
  }

  /// The open file; for reading it must be a regular one.
  func file(
    _ path: String, _ descriptor: Int32, _ mode: OpenMode
  ) throws(StorageError) -> any File {
    let file = POSIXFile(path: path, descriptor: descriptor)
    if case .read = mode { try file.requireRegular(operation: mode.operation) }
    return file
  }

  public func createDirectory(
    _ path: String, withIntermediates: Bool
  ) throws(StorageError) {
    do {
      _ = try retryingInterrupts("create directory", path) { Int(unsafe mkdir(path, 0o700)) }
    } catch {
      if error.errorNumber == EEXIST {
        if try information(path)?.isDirectory == true { return }
        throw StorageError(errorNumber: ENOTDIR, operation: error.operation, path: path)
      }
      let parent = StoragePath.directory(of: path)
      guard error.kind == .notFound, withIntermediates, parent != path else { throw error }
      try createDirectory(parent, withIntermediates: true)
      try createDirectory(path, withIntermediates: false)
    }
  }

  public func contentsOfDirectory(_ path: String) throws(StorageError) -> [String] {
    guard let stream = unsafe opendir(path) else {
      throw StorageError(errorNumber: errno, operation: "list", path: path)
    }
    defer { unsafe _ = closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else {
        if errno == 0 { return names }
        throw StorageError(errorNumber: errno, operation: "list", path: path)
      }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  public func information(_ path: String) throws(StorageError) -> FileInformation? {
    var status = stat()
    do {
      _ = try retryingInterrupts("examine", path) { Int(unsafe stat(path, &status)) }
    } catch {
      if error.errorNumber == ENOENT || error.errorNumber == ENOTDIR { return nil }
      throw error
    }
    return FileInformation(status)
  }

  public func removeFile(_ path: String) throws(StorageError) -> Bool {
    try removed("remove", path) { Int(unsafe unlink(path)) }
  }

  public func removeDirectory(_ path: String) throws(StorageError) -> Bool {
    try removed("remove directory", path) { Int(unsafe rmdir(path)) }
  }

  private func removed(
    _ operation: String, _ path: String, _ body: () -> Int
  ) throws(StorageError) -> Bool {
    do {
      _ = try retryingInterrupts(operation, path, body)
      return true
    } catch {
      if error.kind == .notFound { return false }
      throw error
    }
  }

  public func rename(
    _ path: String, to newPath: String, replacing: Bool
  ) throws(StorageError) {
    if replacing {
      _ = try retryingInterrupts("rename", path) { Int(unsafe Glibc.rename(path, newPath)) }
      return
    }
    let number = unsafe csystem_rename_no_replace(path, newPath)
    if number == EINVAL || number == ENOSYS {
      // The file system has no such flag: a link fails on a taken name as atomically.
      _ = try retryingInterrupts("publish", newPath) { Int(unsafe Glibc.link(path, newPath)) }
      _ = try removeFile(path)
    } else if number != 0 {
      throw StorageError(
        errorNumber: number, operation: "rename", path: number == EEXIST ? newPath : path)
    }
  }

  public func link(_ path: String, to newPath: String) throws(StorageError) -> Bool {
    do {
      _ = try retryingInterrupts("link", newPath) { Int(unsafe Glibc.link(path, newPath)) }
      return true
    } catch {
      let impossible = [EXDEV, EPERM, EMLINK, EOPNOTSUPP, ENOSYS]
      if impossible.contains(error.errorNumber) { return false }
      throw error
    }
  }

  public func synchronizeDirectory(_ path: String) throws(StorageError) {
    let descriptor = try retryingInterrupts("open directory", path) {
      Int(unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
    let number = Int32(truncatingIfNeeded: descriptor)
    defer { _ = Glibc.close(number) }
    _ = try retryingInterrupts("synchronize directory", path) { Int(fsync(number)) }
  }

  public func availableBytes(_ path: String) throws(StorageError) -> Int64 {
    var status = statvfs()
    _ = try retryingInterrupts("examine", path) { Int(unsafe statvfs(path, &status)) }
    let (bytes, overflow) = Int64(clamping: status.f_bavail)
      .multipliedReportingOverflow(by: Int64(clamping: status.f_frsize))
    return overflow ? .max : bytes
  }

  public func canonicalPath(_ path: String) throws(StorageError) -> String {
    guard let resolved = unsafe realpath(path, nil) else {
      throw StorageError(errorNumber: errno, operation: "resolve", path: path)
    }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  public func lock(_ path: String, holder: String) throws(StorageError) -> any FileLock {
    try POSIXFileLock(path: path, holder: holder)
  }
}

extension OpenMode {
  var operation: String { if case .create = self { "create" } else { "open" } }

  var flags: Int32 {
    switch self {
    // A pipe without a writer must not keep us; a regular file knows no waiting.
    case .read: O_RDONLY | O_CLOEXEC | O_NONBLOCK
    case .readWrite: O_RDWR | O_CLOEXEC | O_NOFOLLOW
    case .create: O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
    }
  }
}

extension FileInformation {
  init(_ status: stat) {
    let seconds = Int64(status.st_mtim.tv_sec)
    self.init(
      sizeBytes: Int64(status.st_size), isDirectory: status.st_mode & S_IFMT == S_IFDIR,
      modificationTimeMicroseconds: seconds &* 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1000)
  }
}
