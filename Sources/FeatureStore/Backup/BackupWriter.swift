internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// Copies a store while others write to it.
///
/// The order makes the copy consistent:
///
///  1. The log's beginning is held open. What was removed before, every table had.
///  2. The definitions are read, and the catalog is copied: it says which version of each table counts.
///     Tables are behind the log, so each record is in its table or still in the log held.
///  3. The tables' files are copied. They never change; should one have been cleaned away meanwhile, the
///     catalog is copied again.
///  4. The log's end is looked up: later than what any of these tables has. So no table is ahead of it.
///  5. If the definitions have changed meanwhile all begins again at 2: the copied log must not have
///     records of groups or features that the copied definitions lack.
///  6. The log is copied up to that end.
///
/// Training sets with names are looked up at first and copied at last: their tags are in the catalog that is copied
/// in between.
struct BackupWriter {
  let store: FeatureStore
  let options: BackupOptions
  private(set) var folder: BackupFolder
  private let progress: (Int64, Int64) -> Void
  private var totalBytes: Int64 = 0

  private static let attempts = 16
  private static let catalogName = "warehouse/catalog.db"

  init(
    store: FeatureStore, options: BackupOptions, folder: BackupFolder,
    progress: @escaping (Int64, Int64) -> Void
  ) throws {
    self.store = store
    self.options = options
    self.folder = folder
    self.progress = progress
  }

  private var fileSystem: any FileSystem { store.fileSystem }

  mutating func run() throws -> BackupManifest {
    let created = store.clock.nowMicroseconds()
    let sets = try options.includesTables ? store.trainingSets().filter(\.isComplete) : []
    var attempt = 1
    while true {
      let online = try OnlineBackup(
        directory: StoragePath.join(store.directory, "log"), fileSystem: fileSystem)
      do {
        let definitions = try copyTables(online)
        try copyLog(online)
        try folder.write(definitions, as: BackupManifest.definitionsName, .definitions)
        for set in sets { try copy(set) }
        let manifest = BackupManifest(
          storeID: store.storeID, createdMicroseconds: created, directory: store.directory,
          firstLSN: online.log.firstLSN, lastLSN: online.log.lastLSN,
          hasTables: options.includesTables,
          files: folder.files.values.sorted { $0.name < $1.name })
        try folder.synchronize()
        try fileSystem.publish(
          manifest.encoded, at: folder.path(BackupManifest.fileName), replacing: false)
        return manifest
      } catch OnlineStoreError.log(.removed) where attempt < Self.attempts {
        // The writer cleaned faster than we looked. Nothing of the log was copied yet.
        attempt += 1
      }
    }
  }

  // MARK: Definitions and tables

  /// Copies what is not the log; returns the definitions that fit the log held, and the tables.
  private mutating func copyTables(_ online: OnlineBackup) throws -> [UInt8] {
    for _ in 0..<Self.attempts {
      let definitions = try readDefinitions()
      let registry = try Registry(parsing: definitions, path: definitionsPath)
      let position = options.includesTables ? try copyTables(registry, online) : 0
      try online.extend()
      try wait(for: position, online)
      if try readDefinitions() == definitions { return definitions }
    }
    throw FeatureStoreError(
      .conflict, "the store's definitions change faster than they can be copied; try again")
  }

  private var definitionsPath: String { StoragePath.join(store.directory, Registry.fileName) }

  private func readDefinitions() throws -> [UInt8] {
    try fileSystem.readFile(definitionsPath, limitBytes: 64 << 20)
  }

  /// A table has only what was durable, so the log says so in no time.
  private func wait(for position: Int64, _ online: OnlineBackup) throws {
    let pause = Monitor(())
    for _ in 0..<200 {
      if online.log.lastLSN >= position { return }
      _ = pause.wait(timeoutMilliseconds: 10) { _ -> Bool? in nil }
      try online.extend()
    }
    throw FeatureStoreError(
      .corrupt,
      "an offline table has records up to lsn \(position), the log ends at \(online.log.lastLSN)")
  }

  /// Copies the catalog and the files of the tables that it names; returns the furthest position of a
  /// group's table.
  private mutating func copyTables(_ registry: Registry, _ online: OnlineBackup) throws -> Int64 {
    var attempt = 1
    while true {
      do { return try copyTablesOnce(registry, online) } catch {
        let isMissing =
          switch error {
          case let error as IcebergError: error.kind == .notFound
          case let error as StorageError: error.kind == .notFound
          default: false
          }
        guard isMissing else { throw error }
        attempt += 1
        guard attempt <= 4 else {
          throw FeatureStoreError(
            .corrupt, "a file of an offline table is missing: \(error)", cause: error)
        }
      }
    }
  }

  private mutating func copyTablesOnce(
    _ registry: Registry, _ online: OnlineBackup
  ) throws -> Int64 {
    if folder.files[Self.catalogName] != nil { try folder.remove(Self.catalogName) }
    try folder.makeDirectory(of: Self.catalogName)
    let rows = try store.tables.catalog.copy(to: folder.path(Self.catalogName))
    try folder.adopt(Self.catalogName, .catalog)
    var wanted: [(name: String, path: String, sizeBytes: Int64, kind: BackupManifest.Kind)] = []
    var positions: [String: Int64] = [:]
    for row in rows {
      let isGroup =
        row.catalogName == OfflineTables.catalogName
        && row.namespace == OfflineTables.namespaceName
        && registry.groups.contains { $0.isOffline && $0.name == row.name }
      guard let own = try name(of: row.metadataLocation) else {
        // Somebody else's, and only listed here.
        if !isGroup { continue }
        throw outside(row.name, row.metadataLocation)
      }
      if row.isView {
        let path = StoragePath.join(store.directory, own)
        wanted.append((own, path, try size(path), .view))
        continue
      }
      let contents = try TableContents(
        metadataLocation: row.metadataLocation, io: store.tables.catalog.io)
      for file in contents.files {
        guard let name = try name(of: file.path) else {
          throw outside(row.name, file.path)
        }
        wanted.append((name, file.path, try size(file.path), Self.kind(file.kind)))
      }
      if isGroup { positions[row.name] = try OfflinePosition(contents.metadata).lsn }
    }
    totalBytes = wanted.reduce(0) { $0 + $1.sizeBytes } + (try logBytes(online))
    // What an earlier attempt copied and this one does not want.
    let names = Set(wanted.map(\.name)).union([Self.catalogName])
    for name in folder.files.keys where !names.contains(name) { try folder.remove(name) }
    for file in wanted where folder.files[file.name] == nil {
      try copy(file.path, file.sizeBytes, file.name, file.kind)
      // Holds what the log gets meanwhile, should it be cleaned away before this is over.
      try online.extend()
    }
    return try registry.groups.filter(\.isOffline).reduce(0) { last, group in
      guard let position = positions[group.name] else {
        throw FeatureStoreError(.corrupt, "the offline table of '\(group.name)' is missing")
      }
      return max(last, position)
    }
  }

  private func outside(_ table: String, _ location: String) -> FeatureStoreError {
    FeatureStoreError(
      .invalidArgument,
      "the table '\(table)' has a file outside the store, '\(location)': it cannot be backed up "
        + "with the store (--online-only leaves all tables out)")
  }

  /// A file's name in the store's directory, and so in the backup; nil when it lies elsewhere.
  private func name(of location: String) throws -> String? {
    let root = store.directory == "/" ? "/" : store.directory + "/"
    let path: String
    do throws(IcebergError) { path = try Location.comparable(location) } catch {
      // On another file system.
      guard error.kind == .unsupported else { throw error }
      return nil
    }
    if path.hasPrefix(root) { return String(path.dropFirst(root.count)) }
    let canonical = try fileSystem.canonicalPath(path)
    return canonical.hasPrefix(root) ? String(canonical.dropFirst(root.count)) : nil
  }

  private func size(_ path: String) throws -> Int64 {
    guard let found = try fileSystem.information(path) else {
      throw StorageError(
        .notFound, operation: "examine", path: path, message: "No such file or directory")
    }
    return found.sizeBytes
  }

  private static func kind(_ kind: TableFileKind) -> BackupManifest.Kind {
    switch kind {
    case .metadata: .metadata
    case .manifestList: .manifestList
    case .manifest: .manifest
    case .data: .data
    case .deletes: .deletes
    case .statistics, .other: .statistics
    }
  }

  private mutating func copy(
    _ path: String, _ sizeBytes: Int64, _ name: String, _ kind: BackupManifest.Kind
  ) throws {
    meter()
    // Files of tables never change, and their names are never used again.
    if try folder.link(name, sizeBytes: sizeBytes, isSame: { _, _ in true }) { return }
    let file = try fileSystem.open(path, .read)
    try folder.copy(file, sizeBytes: sizeBytes, as: name, kind)
    try file.close()
  }

  private mutating func copy(_ set: NamedTrainingSet) throws {
    let kept = store.keptFiles(of: set)
    for name in kept {
      let path = StoragePath.join(store.directory, name)
      // Deleted since it was looked up: nobody wants it any more.
      guard let found = try fileSystem.information(path) else {
        for name in kept where folder.files[name] != nil { try folder.remove(name) }
        return
      }
      meter()
      let file = try fileSystem.open(path, .read)
      try folder.copy(file, sizeBytes: found.sizeBytes, as: name, .trainingSet)
      try file.close()
    }
  }

  private mutating func meter() {
    let (report, total) = (progress, totalBytes)
    let done = folder.copiedBytes + folder.linkedBytes
    var sum = done
    folder.progress = { bytes in
      sum += bytes
      report(min(sum, total), total)
    }
  }

  // MARK: The log

  private func logBytes(_ online: OnlineBackup) throws -> Int64 {
    try online.files().reduce(0) { sum, file in
      switch file.content {
      case .file(_, let sizeBytes): sum + sizeBytes
      case .bytes(let bytes): sum + Int64(bytes.count)
      }
    }
  }

  private mutating func copyLog(_ online: OnlineBackup) throws {
    let files = try online.files()
    totalBytes = max(
      totalBytes, folder.copiedBytes + folder.linkedBytes + (try logBytes(online)))
    for file in files {
      meter()
      let name = "log/" + file.name
      switch file.content {
      case .bytes(let bytes): try folder.write(bytes, as: name, .log)
      case .file(let source, let sizeBytes):
        if !file.header.isEmpty, try link(name, sizeBytes, header: file.header) { continue }
        try folder.copy(source, sizeBytes: sizeBytes, as: name, .log)
      }
    }
    do {
      if try !online.check(folder.path("log")) { try folder.remove("log/INDEX") }
    } catch OnlineStoreError.log(.corrupt(let path, let byteOffset, let reason)) {
      // The copy is gone in a moment; it is what the log is.
      let own = StoragePath.join(
        StoragePath.join(store.directory, "log"), StoragePath.lastComponent(of: path))
      throw OnlineStoreError.log(.corrupt(path: own, byteOffset: byteOffset, reason: reason))
    }
  }

  /// Links the earlier copy of a segment, if that is whole still.
  private mutating func link(
    _ name: String, _ sizeBytes: Int64, header: [UInt8]
  ) throws(StorageError) -> Bool {
    try folder.link(name, sizeBytes: sizeBytes) { file, checksum throws(StorageError) in
      guard try file.read(count: header.count, at: 0) == header else { return false }
      return try BackupFolder.read(file, sizeBytes: sizeBytes) { _, _ in } == checksum
    }
  }
}
