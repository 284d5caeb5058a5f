extension FileSystem {
  /// Makes a file appear whole or not at all, durably: writes a temporary file in the same directory,
  /// syncs it, renames it to `path`, syncs the directory. Unless `replacing`, throws `.exists` when the
  /// name is taken; of two who publish the same name one wins.
  ///
  /// When the last step throws, the file may be there without being durable: the outcome is unknown.
  public func publish(
    _ path: String, replacing: Bool, write: (any File) throws(StorageError) -> Void
  ) throws(StorageError) {
    let directory = StoragePath.directory(of: path)
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    let name = ".\(StoragePath.lastComponent(of: path)).\(unique).tmp"
    let temporary = StoragePath.join(directory, name)
    let file = try open(temporary, .create)
    do throws(StorageError) {
      try write(file)
      try file.synchronizeData()
      try file.close()
      try rename(temporary, to: path, replacing: replacing)
    } catch {
      // The first failure is the one to report; a temporary file left behind harms nobody.
      do throws(StorageError) {
        try file.close()
        try removeFile(temporary)
      } catch {}
      throw error
    }
    try synchronizeDirectory(directory)
  }

  /// Publishes these bytes.
  public func publish(
    _ bytes: [UInt8], at path: String, replacing: Bool
  ) throws(StorageError) {
    try publish(path, replacing: replacing) { file throws(StorageError) in
      try file.write(bytes, at: 0)
    }
  }

  /// The whole file; throws when it is larger than `limitBytes`, before reading.
  public func readFile(_ path: String, limitBytes: Int) throws(StorageError) -> [UInt8] {
    let file = try open(path, .read)
    let size = try file.size()
    guard size <= limitBytes else {
      throw StorageError(
        .inputOutput, operation: "read", path: path,
        message: "it has \(size) bytes, more than the \(limitBytes) allowed here")
    }
    let bytes = try file.read(count: Int(size), at: 0)
    try file.close()
    return bytes
  }
}
