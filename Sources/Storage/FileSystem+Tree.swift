extension FileSystem {
  /// Removes a directory of our own making with everything in it; one that is not there is no error.
  /// Not for directories in which others may have put links.
  public func removeTree(_ path: String) throws(StorageError) {
    guard let found = try information(path) else {
      // A link to nowhere has no information, and yet a name.
      try removeFile(path)
      return
    }
    guard found.isDirectory else {
      try removeFile(path)
      return
    }
    for name in try contentsOfDirectory(path) { try removeTree(StoragePath.join(path, name)) }
    try removeDirectory(path)
  }
}
