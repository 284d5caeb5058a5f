internal import CSystem
internal import Glibc

// Files below given folders, whatever links say.
//
// The kernel is asked to resolve the path below the folder, which leaves no moment in which a link could
// come in between. A link that leads from one of the folders into another is followed: the path is
// resolved here then, and opened without links. Kernels without the call (before 5.6) leave a moment
// between looking and opening.
extension POSIXFileSystem {
  private static let pathOnly = Int32(csystem_path_only)

  public func open(
    _ path: String, _ mode: OpenMode, within roots: [String]
  ) throws(StorageError) -> any File {
    let number = try descriptor(path, mode.flags, mode.operation, within: roots)
    return try file(path, number, mode)
  }

  public func information(
    _ path: String, within roots: [String]
  ) throws(StorageError) -> FileInformation? {
    do throws(StorageError) {
      let number = try descriptor(path, Self.pathOnly | O_CLOEXEC, "examine", within: roots)
      return try POSIXFile(path: path, descriptor: number).information()
    } catch {
      if error.errorNumber == ENOENT || error.errorNumber == ENOTDIR { return nil }
      throw error
    }
  }

  public func removeFile(
    _ path: String, within roots: [String]
  ) throws(StorageError) -> Bool {
    do throws(StorageError) {
      let folder = try descriptor(
        StoragePath.directory(of: path), Self.pathOnly | O_DIRECTORY | O_CLOEXEC, "remove",
        within: roots)
      defer { _ = Glibc.close(folder) }
      _ = try retryingInterrupts("remove", path) {
        Int(unsafe unlinkat(folder, StoragePath.lastComponent(of: path), 0))
      }
      return true
    } catch {
      if error.kind == .notFound { return false }
      throw error
    }
  }

  private func descriptor(
    _ path: String, _ flags: Int32, _ operation: String, within roots: [String]
  ) throws(StorageError) -> Int32 {
    for root in roots {
      guard let relative = StoragePath.relative(path, to: root) else { continue }
      var descriptor: Int32 = -1
      let number = openBeneath(root, relative, flags, followsLinks: true, &descriptor)
      if number == 0 { return descriptor }
      guard number == EXDEV || number == ELOOP || number == ENOSYS else {
        throw StorageError(errorNumber: number, operation: operation, path: path)
      }
      break
    }
    return try resolvedDescriptor(path, flags, operation, within: roots)
  }

  /// Opens what the path comes to with all links resolved, without following any more.
  private func resolvedDescriptor(
    _ path: String, _ flags: Int32, _ operation: String, within roots: [String]
  ) throws(StorageError) -> Int32 {
    // What is created, or opened without following it, is a name in a folder that is there.
    let resolved =
      flags & O_NOFOLLOW == 0
      ? try canonicalPath(path)
      : StoragePath.join(
        try canonicalPath(StoragePath.directory(of: path)), StoragePath.lastComponent(of: path))
    for root in roots {
      guard try information(root) != nil else { continue }
      let canonical = try canonicalPath(root)
      guard let relative = StoragePath.relative(resolved, to: canonical) else { continue }
      var descriptor: Int32 = -1
      var number = openBeneath(canonical, relative, flags, followsLinks: false, &descriptor)
      if number == ENOSYS {
        descriptor = unsafe Glibc.open(resolved, flags | O_NOFOLLOW, 0o600)
        number = descriptor < 0 ? errno : 0
      }
      if number == 0 { return descriptor }
      throw StorageError(errorNumber: number, operation: operation, path: path)
    }
    throw StorageError(
      .outside, operation: operation, path: path,
      message: "a link leads to '\(resolved)', outside the folders that may be used")
  }

  private func openBeneath(
    _ root: String, _ path: String, _ flags: Int32, followsLinks: Bool, _ descriptor: inout Int32
  ) -> Int32 {
    guard asksKernel else { return ENOSYS }
    return unsafe csystem_open_beneath(root, path, flags, followsLinks, &descriptor)
  }
}
