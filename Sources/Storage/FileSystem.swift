/// Where files live: the one seam through which everything here touches storage.
///
/// `POSIXFileSystem` is the real one; the tests have a simulated one that loses what was not synced.
/// Paths are absolute or relative to the working directory. Implementations are thread-safe.
///
/// Durability: a file's bytes are durable after `File.synchronizeData()`; a name (created, renamed or
/// removed) is durable after `synchronizeDirectory` of the directory that holds it.
public protocol FileSystem: Sendable {
  /// Opens a file; `.create` fails with `.exists` when the name is taken.
  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File

  /// Opens a file that must lie below one of the folders, whatever links say: what stands in a table that
  /// somebody else wrote leads nowhere else. Throws `.outside` when it does.
  ///
  /// - Parameter roots: absolute paths; those that are links themselves are followed.
  func open(
    _ path: String, _ mode: OpenMode, within roots: [String]
  ) throws(StorageError) -> any File

  /// What is at `path`, with the same promise.
  func information(
    _ path: String, within roots: [String]
  ) throws(StorageError) -> FileInformation?

  /// Removes a file, with the same promise; a link is removed itself.
  @discardableResult func removeFile(
    _ path: String, within roots: [String]
  ) throws(StorageError) -> Bool

  /// Creates a directory (mode 0700) and, if asked, those above it. One that is there is no error.
  func createDirectory(_ path: String, withIntermediates: Bool) throws(StorageError)

  /// The names in a directory, in no order, without `.` and `..`.
  func contentsOfDirectory(_ path: String) throws(StorageError) -> [String]

  /// What is at `path`, following links; nil when nothing is.
  func information(_ path: String) throws(StorageError) -> FileInformation?

  /// Removes a file. Returns false when there was none: removal is idempotent.
  @discardableResult func removeFile(_ path: String) throws(StorageError) -> Bool

  /// Removes an empty directory. Returns false when there was none.
  @discardableResult func removeDirectory(_ path: String) throws(StorageError) -> Bool

  /// Renames a file. Unless `replacing`, fails with `.exists` when `newPath` is taken, atomically.
  func rename(_ path: String, to newPath: String, replacing: Bool) throws(StorageError)

  /// Gives a file a second name (a hard link). Returns false where that cannot be: on another file
  /// system, or on one without links. Fails with `.exists` when `newPath` is taken.
  func link(_ path: String, to newPath: String) throws(StorageError) -> Bool

  /// Makes the names in a directory durable.
  func synchronizeDirectory(_ path: String) throws(StorageError)

  /// Takes an exclusive lock on the file (created if need be), or throws `.locked` at once, with what
  /// the holder wrote there. The lock ends with `FileLock.release()` or with the process.
  func lock(_ path: String, holder: String) throws(StorageError) -> any FileLock

  /// How many bytes can still be written to the file system that holds `path`, which must be there.
  /// Others may take them at any moment.
  func availableBytes(_ path: String) throws(StorageError) -> Int64

  /// The canonical absolute path, links resolved. Throws `.notFound` when nothing is there.
  func canonicalPath(_ path: String) throws(StorageError) -> String
}

public enum OpenMode: Sendable {
  /// Reading only; the file must be there, and be a regular one: a pipe or a device could keep a
  /// reader waiting for ever.
  case read
  /// Reading and writing; the file must be there.
  case readWrite
  /// A new file (mode 0600) for reading and writing.
  case create
}

public struct FileInformation: Hashable, Sendable {
  public var sizeBytes: Int64
  public var isDirectory: Bool
  /// Microseconds since 1970, as the file system says; the store's clock, not ours.
  public var modificationTimeMicroseconds: Int64

  public init(sizeBytes: Int64, isDirectory: Bool, modificationTimeMicroseconds: Int64) {
    self.sizeBytes = sizeBytes
    self.isDirectory = isDirectory
    self.modificationTimeMicroseconds = modificationTimeMicroseconds
  }
}

/// An open file. Positions are explicit, so several threads may read at once; writers of overlapping
/// ranges must agree among themselves. Closed by `close()`, or when the last reference goes.
public protocol File: AnyObject, Sendable {
  var path: String { get }

  func size() throws(StorageError) -> Int64

  /// Reads from `byteOffset` until `buffer` is full or the file ends; returns the bytes read.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int

  /// Writes all of `bytes` at `byteOffset`, growing the file if need be.
  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError)

  /// Begins to bring written bytes to the disk, so that `synchronizeData()` has less to wait for. Promises nothing, and
  /// what fails there fails again with that.
  func beginWriteback(at byteOffset: Int64, count: Int)

  /// Makes the bytes durable, and of the metadata what is needed to read them (fdatasync).
  /// After a failure the file's content is unknown and must not be synced again.
  func synchronizeData() throws(StorageError)

  /// The first `count` bytes as memory; nil where that is not to be had. The file must have them, and
  /// must not be made shorter while they are mapped.
  func map(count: Int) -> MappedBytes?

  func truncate(to sizeBytes: Int64) throws(StorageError)

  /// Grows the file to this size, with space on the disk for all of it; what is new reads as zeros.
  /// Throws `.full` when there is not so much space. Never shrinks it.
  func allocate(sizeBytes: Int64) throws(StorageError)

  /// Drops what the page cache holds of this file, so that the next read sees what is on disk.
  func discardCache() throws(StorageError)

  /// Closes the file now; later calls do nothing.
  func close() throws(StorageError)
}

/// A lock that is held until `release()`.
public protocol FileLock: AnyObject, Sendable {
  func release()
}

extension FileSystem {
  public func link(_ path: String, to newPath: String) throws(StorageError) -> Bool { false }

  // For file systems without links, whose paths say it all.

  public func open(
    _ path: String, _ mode: OpenMode, within roots: [String]
  ) throws(StorageError) -> any File {
    try open(path, mode)
  }

  public func information(
    _ path: String, within roots: [String]
  ) throws(StorageError) -> FileInformation? {
    try information(path)
  }

  public func removeFile(
    _ path: String, within roots: [String]
  ) throws(StorageError) -> Bool {
    try removeFile(path)
  }
}

extension File {
  public func beginWriteback(at byteOffset: Int64, count: Int) {}
  public func map(count: Int) -> MappedBytes? { nil }
}
