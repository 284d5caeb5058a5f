import Storage

/// New files of a table that nobody is told of before they are durable, all of them at once: the disk has begun with
/// the last when the first is waited for.
///
/// Used by one thread. What was not made durable is closed with this; removing it is for those who know what it is
/// part of.
final class UnpublishedFiles {
  let io: FileIO
  private var files: [any File] = []
  /// The folders of files whose names are not durable.
  private var folders: Set<String> = []
  private var failure: IcebergError?

  /// So many are kept open.
  private static let maximumOpenFiles = 32

  init(_ io: FileIO) { self.io = io }

  /// Takes a file that has all its bytes. After a failure the file is worthless.
  func add(_ file: any File) throws(IcebergError) {
    do { file.beginWriteback(at: 0, count: Int(try file.size())) } catch {
      throw IcebergError(error)
    }
    files.append(file)
    folders.insert(Location.parent(of: file.path))
    if files.count >= UnpublishedFiles.maximumOpenFiles { try synchronize() }
  }

  /// Writes a new file; removes it again if that fails.
  func write(_ location: String, _ bytes: [UInt8]) throws(IcebergError) {
    try io.write(location, bytes) { file throws(IcebergError) in try add(file) }
  }

  /// Makes the bytes of all files durable, though not their names, and closes them.
  func synchronize() throws(IcebergError) {
    try noting { () throws(IcebergError) in
      defer { files = [] }
      for file in files { try io.seal(file) }
    }
  }

  /// Makes all files and their names durable.
  func publish() throws(IcebergError) {
    try synchronize()
    try noting { () throws(IcebergError) in try io.synchronizeFolders(folders) }
    folders = []
  }

  /// What fails once fails always: nobody may be told of any of the files, and a sync after one that failed proves
  /// nothing.
  private func noting(_ body: () throws(IcebergError) -> Void) throws(IcebergError) {
    if let failure { throw failure }
    do throws(IcebergError) { try body() } catch {
      failure = error
      throw error
    }
  }
}
