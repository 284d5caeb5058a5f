import Storage

/// What a file of a table is.
public enum TableFileKind: String, Hashable, Sendable, CaseIterable {
  case metadata
  case manifestList = "manifest-list"
  case manifest
  case data
  case deletes
  case statistics
  /// Anything else below the table's folders.
  case other

  /// Referrers before what they refer to: what stops half way leaves no file that points to one
  /// that is gone.
  static let deletionOrder: [TableFileKind] = [
    .metadata, .manifestList, .manifest, .statistics, .deletes, .data, .other,
  ]

  /// What a file that nothing speaks of seems to be, by its name and folder.
  init(guessedFrom path: String, isBelowData: Bool) {
    let name = Location.lastComponent(of: path)
    if name.hasSuffix(".metadata.json") || name.hasSuffix(".metadata.json.gz") {
      self = .metadata
    } else if isBelowData {
      self = .data
    } else if name.hasSuffix(".avro") {
      self = name.hasPrefix("snap-") ? .manifestList : .manifest
    } else if name.hasSuffix(".stats") || name.hasSuffix(".puffin") {
      self = .statistics
    } else {
      self = .other
    }
  }
}

/// Names of files that are equal however a location is spelled: the path below the table's folder,
/// or the whole path for what lies elsewhere. The one function that both sides of every comparison
/// go through.
struct TableFileNames: Sendable {
  /// The table's folder, as the metadata spells it and without links.
  let root: String
  private let canonicalRoot: String
  private let io: FileIO

  /// - Throws: `invalidArgument` for a location that cannot be a table's own folder.
  init(location: String, io: FileIO) throws(IcebergError) {
    guard !location.isEmpty else {
      throw IcebergError(.invalidArgument, "the table has no location: it is not cleaned")
    }
    root = try Location.comparable(io.path(of: location))
    guard root != "/" else {
      throw IcebergError(.invalidArgument, "a table at '/' is not cleaned")
    }
    do { canonicalRoot = try io.fileSystem.canonicalPath(root) } catch { throw IcebergError(error) }
    guard canonicalRoot != "/" else {
      throw IcebergError(.invalidArgument, "a table at '/' is not cleaned")
    }
    self.io = io
  }

  /// - Throws: for a scheme, a host or a path that cannot be compared: refusing is the only safe
  ///   answer to a file that may be one of the listed ones under another name.
  func name(of location: String) throws(IcebergError) -> String {
    let path = try Location.comparable(location)
    if let name = below(root, path) ?? below(canonicalRoot, path) { return name }
    // Elsewhere, or here through a link.
    do throws(StorageError) {
      guard try io.fileSystem.information(path) != nil else { return path }
      let canonical = try io.fileSystem.canonicalPath(path)
      return below(canonicalRoot, canonical) ?? canonical
    } catch { throw IcebergError(error) }
  }

  private func below(_ folder: String, _ path: String) -> String? {
    guard path.utf8.count > folder.utf8.count + 1, path.utf8.starts(with: (folder + "/").utf8)
    else { return nil }
    return String(path.utf8.dropFirst(folder.utf8.count + 1)) ?? path
  }

  /// Whether a folder below the table is what its name says, not a link to elsewhere.
  func isOwn(_ folder: String) throws(IcebergError) -> Bool {
    do {
      return try io.fileSystem.canonicalPath(root + "/" + folder) == canonicalRoot + "/" + folder
    } catch { throw IcebergError(error) }
  }
}

/// All files below a table's data and metadata folders, as the storage lists them.
struct TableListing: Sendable {
  struct File: Hashable, Sendable {
    /// Below the table's folder.
    var name: String
    var sizeBytes: Int64
    /// Microseconds since 1970 by the storage's clock; 0 or less means unknown.
    var modificationTime: Int64
    var isBelowData: Bool
  }

  private(set) var files: [File] = []
  /// Files and folders with hidden names, and links: not the table's, and left alone.
  private(set) var skippedNames: [String] = []
  var skippedCount: Int { skippedNames.count }
  /// The storage's clock when the listing began, in microseconds since 1970.
  let startedAt: Int64

  /// - Parameter partitionNames: of all specs; a folder `_x=1` of a partition field `_x` is not
  ///   hidden.
  init(
    _ names: TableFileNames, metadata: TableMetadata, io: FileIO, clock: any WallClock
  ) throws(IcebergError) {
    startedAt = try TableListing.storageTime(names, metadata, io, clock)
    let partitionNames = Set(metadata.partitionSpecs.flatMap { $0.fields.map(\.name) })
    let dataFolder = try names.name(of: metadata.dataFolder)
    let metadataFolder = try names.name(of: metadata.metadataFolder)
    var folders: Set<String> = ["data", "metadata"]
    for folder in [dataFolder, metadataFolder] {
      // Folders elsewhere may be shared with others, and are never touched.
      if !folder.hasPrefix("/") { folders.insert(folder) }
    }
    // A folder inside another is listed with it.
    let roots = folders.filter { folder in
      !folders.contains { folder != $0 && folder.hasPrefix($0 + "/") }
    }
    for folder in roots.sorted() {
      let isData = folder == "data" || folder == dataFolder
      try list(
        folder, names, io, isBelowData: isData && folder != "metadata", partitionNames, depth: 0)
    }
  }

  /// Ages are measured by the clock that stamps the files, and if ours is behind, by ours.
  ///
  /// The file that is made for it lies among the metadata: if a crash leaves it behind it is an orphan
  /// like others.
  private static func storageTime(
    _ names: TableFileNames, _ metadata: TableMetadata, _ io: FileIO, _ clock: any WallClock
  ) throws(IcebergError) -> Int64 {
    let now = clock.nowMicroseconds()
    let folder = try names.name(of: metadata.metadataFolder)
    do throws(StorageError) {
      let path = names.root + "/" + (folder.hasPrefix("/") ? "metadata" : folder)
      let isThere = try io.fileSystem.information(path)?.isDirectory == true
      // Without the folder there is nothing to clean either.
      let probe = (isThere ? path : names.root) + "/clock-\(RandomIdentifier.uuid())"
      let file = try io.fileSystem.open(probe, .create)
      try file.close()
      let stamp = try io.fileSystem.information(probe)?.modificationTimeMicroseconds ?? now
      try io.fileSystem.removeFile(probe)
      return min(now, stamp)
    } catch { throw IcebergError(error) }
  }

  private mutating func list(
    _ folder: String, _ names: TableFileNames, _ io: FileIO, isBelowData: Bool,
    _ partitionNames: Set<String>, depth: Int
  ) throws(IcebergError) {
    let path = names.root + "/" + folder
    do throws(StorageError) {
      guard try io.fileSystem.information(path)?.isDirectory == true else { return }
    } catch { throw IcebergError(error) }
    guard try names.isOwn(folder), depth < 64 else {
      skippedNames.append(folder)
      return
    }
    let entries: [String]
    do { entries = try io.fileSystem.contentsOfDirectory(path) } catch { throw IcebergError(error) }
    for entry in entries.sorted() {
      guard !Self.isHidden(entry, partitionNames) else {
        skippedNames.append(folder + "/" + entry)
        continue
      }
      let name = folder + "/" + entry
      let information: FileInformation?
      do { information = try io.fileSystem.information(names.root + "/" + name) } catch {
        throw IcebergError(error)
      }
      guard let information else { continue }
      if information.isDirectory {
        try list(
          name, names, io, isBelowData: isBelowData, partitionNames, depth: depth + 1)
      } else {
        files.append(
          File(
            name: name, sizeBytes: information.sizeBytes,
            modificationTime: information.modificationTimeMicroseconds, isBelowData: isBelowData))
      }
    }
  }

  private static func isHidden(_ name: String, _ partitionNames: Set<String>) -> Bool {
    guard name.hasPrefix("_") || name.hasPrefix(".") else { return false }
    // What a kill leaves of a hint that was being written: ours.
    if name.hasPrefix(".version-hint.") { return false }
    guard let equals = name.firstIndex(of: "=") else { return true }
    return !partitionNames.contains(String(name[..<equals]))
  }
}
