import Columnar
import FileFormats
import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// A table whose metadata names files that are none of its business. Every one is there, and is what is
/// asked for: were it opened, the read would succeed.
@Suite struct HostilePathTests {
  /// Spellings of a file outside, and of what is no file at all.
  ///
  /// - Parameter file: in a folder `outside` beside the warehouse's folder.
  private func spellings(_ file: String, _ warehouse: Warehouse, _ table: Table) throws -> [String]
  {
    let root = try warehouse.path(table.location)
    let name = Location.lastComponent(of: file)
    let up = String(repeating: "/..", count: root.split(separator: "/").count)
    try farm(file, warehouse, root)
    let plain = [
      file, "file:" + file, "file://" + file, "file://localhost" + file, "FILE://" + file,
      "File:" + file, "file:///" + file, "/" + file, "//" + file, "/." + file, "/./." + file,
      file + "/", file + "/.",
    ]
    let climbing = [
      root + up + file, "file://" + root + up + file, root + "/data/.." + up + file,
      root + "/./" + up.dropFirst() + file, root + "//..//../../outside/" + name,
      root + "/../../../outside/" + name, "file:" + root + "/../../../outside/" + name,
      root + "/nothing/../../../../outside/" + name, root + "/data/../../../../outside/" + name,
      root + "/..", root + "/.", root + "/../../..",
    ]
    let disguised = [
      root + "/..%2f..%2f..%2foutside/" + name, root + "/%2e%2e/%2e%2e/%2e%2e/outside/" + name,
      root + "/..\\..\\..\\outside\\" + name, root + "/....//....//....//outside/" + name,
      root + "/.. /.. /.. /outside/" + name, root + "/..;/..;/..;/outside/" + name,
      root + "/%00/../../../outside/" + name, file + "\0", file + "\0.parquet",
      root + "/\0/../../../outside/" + name, " " + file, "file:// " + file,
    ]
    let neighbours = [
      warehouse.folder + "/warehouse-evil/" + name, warehouse.folder + "/warehouseevil/" + name,
    ]
    let links = [
      "link/" + name, "file-link", "absolute/" + name, "chain/" + name, "up/outside/" + name,
      "root" + file, "process" + file, "data/link/" + name, "loop/" + name, "dangling",
      "link/../outside/" + name,
    ].map { root + "/" + $0 }
    let others = [
      root, root + "/", root + "/data", root + "/pipe", "/", "", ".", "..", "outside/" + name,
      "./" + name, "~/" + name, "$HOME/" + name, "file:", "file://", "file:///",
      "file:outside/" + name, "/etc/passwd", "file:///etc/passwd", "/dev/zero", "/dev/stdin",
      "/proc/self/root" + file, "/proc/self/environ", "s3://bucket/" + name, "s3a://b/" + name,
      "gs://b/" + name, "hdfs://node/" + name, "http://127.0.0.1/" + name, "ftp://h/" + name,
      "jar:file:" + file + "!/x", "data:,x", "file://elsewhere" + file, "file://127.0.0.1" + file,
      "file://user@localhost" + file, "file://localhost:80" + file,
    ]
    let all = plain + climbing + disguised + neighbours + links + others
    #expect(Set(all).count == all.count && all.count > 60)
    return all
  }

  /// Copies of the file beside the table under names like its own, and links from inside the table.
  private func farm(_ file: String, _ warehouse: Warehouse, _ root: String) throws {
    let manager = FileManager.default
    let name = Location.lastComponent(of: file)
    for folder in [warehouse.folder + "/warehouse-evil", warehouse.folder + "/warehouseevil"] {
      try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try? manager.copyItem(atPath: file, toPath: folder + "/" + name)
    }
    guard !manager.fileExists(atPath: root + "/pipe") else { return }
    try manager.createDirectory(atPath: root + "/data", withIntermediateDirectories: true)
    let outside = Location.parent(of: file)
    let links = [
      "link": outside, "absolute": outside, "chain": "link", "up": "../../..", "root": "/",
      "process": "/proc/self/root", "data/link": outside, "loop": "loop", "dangling": "nothing",
    ]
    for (link, target) in links {
      try manager.createSymbolicLink(atPath: root + "/" + link, withDestinationPath: target)
    }
    #expect(mkfifo(root + "/pipe", 0o600) == 0)
  }

  private func relink(_ file: String, _ root: String) throws {
    try? FileManager.default.removeItem(atPath: root + "/file-link")
    try FileManager.default.createSymbolicLink(
      atPath: root + "/file-link", withDestinationPath: file)
  }

  /// A copy outside the warehouse, under the same name.
  private func smuggled(_ location: String, _ warehouse: Warehouse, _ table: Table) throws -> String
  {
    let folder = warehouse.folder + "/outside"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let copy = folder + "/" + Location.lastComponent(of: location)
    try FileManager.default.copyItem(atPath: try warehouse.path(location), toPath: copy)
    try relink(copy, try warehouse.path(table.location))
    return copy
  }

  private func with(_ metadata: TableMetadata, _ table: Table, io: FileIO? = nil) -> Table {
    Table(
      identifier: table.identifier,
      state: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
      catalog: table.catalog, io: io ?? table.io, clock: table.clock)
  }

  private func unconfined() throws -> FileIO { try FileIO(fileSystem: POSIXFileSystem()) }

  private func rows() -> [Row] { (0..<3).map { Row(id: $0, ts: 0, x: nil, name: nil) } }

  @Test func x1HostileManifestLists() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let copy = try smuggled(
      try #require(table.metadata.currentSnapshot?.manifestList), warehouse, table)
    func planning(_ path: String, _ io: FileIO? = nil) throws -> Int {
      var metadata = table.metadata
      metadata.snapshots[0].manifestList = path
      return try with(metadata, table, io: io).newScan().planFiles().tasks.count
    }
    #expect(try planning(copy, unconfined()) == 1)
    for path in try spellings(copy, warehouse, table) {
      #expect(throws: IcebergError.self, "\(path)") { try planning(path) }
    }
  }

  @Test func x1HostileManifests() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let head = try #require(table.metadata.currentSnapshot)
    let list = try ManifestList.read(try table.io.readAll(try #require(head.manifestList)))
    let copy = try smuggled(list[0].path, warehouse, table)
    var number = 0
    func planning(_ path: String, _ io: FileIO? = nil) throws -> Int {
      var manifest = list[0]
      manifest.path = path
      number += 1
      let location = table.metadata.metadataFolder + "/hostile-\(number).avro"
      try table.io.write(
        location,
        try ManifestList.write(
          [manifest], snapshotID: head.snapshotID, parentSnapshotID: nil,
          sequenceNumber: head.sequenceNumber))
      var metadata = table.metadata
      metadata.snapshots[0].manifestList = location
      return try with(metadata, table, io: io).newScan().planFiles().tasks.count
    }
    #expect(try planning(copy, unconfined()) == 1)
    for path in try spellings(copy, warehouse, table) {
      #expect(throws: IcebergError.self, "\(path)") { try planning(path) }
    }
  }

  @Test func x1HostileManifestsOfFormatVersionOne() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let list = try #require(table.metadata.currentSnapshot?.manifestList)
    let copy = try smuggled(
      try ManifestList.read(try table.io.readAll(list))[0].path, warehouse, table)
    func planning(_ path: String, _ io: FileIO? = nil) throws -> Int {
      var metadata = table.metadata
      metadata.snapshots[0].manifestList = nil
      metadata.snapshots[0].manifests = [path]
      return try with(metadata, table, io: io).newScan().planFiles().tasks.count
    }
    for path in try spellings(copy, warehouse, table) {
      #expect(throws: IcebergError.self, "\(path)") { try planning(path) }
    }
  }

  @Test func x1HostileDataFiles() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let file = try table.onlyFile()
    let copy = try smuggled(file.path, warehouse, table)
    let paths = try spellings(copy, warehouse, table)
    var files: [DataFile] = []
    for path in paths {
      files.append(file)
      files[files.count - 1].path = path
    }
    let hostile = try table.newAppend(files).commit().table
    let scan = hostile.newScan()
    let tasks = try scan.planFiles().tasks.filter { $0.dataFile.path != file.path }
    #expect(tasks.count == paths.count)
    for task in tasks {
      #expect(throws: IcebergError.self, "\(task.dataFile.path)") { try scan.batches(task) }
    }
    let open = with(hostile.metadata, hostile, io: try unconfined()).newScan()
    let known = try #require(tasks.first { $0.dataFile.path == copy })
    #expect(try open.batches(known).next()?.rowCount == 3)
  }

  @Test(arguments: [2, 3]) func x1HostileDeleteFiles(formatVersion: Int) throws {
    let warehouse = try Warehouse()
    let created = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(schema: Warehouse.schema, formatVersion: formatVersion))
    let table = try created.writing(rows())
    let file = try table.onlyFile()
    let root = try warehouse.path(table.location)
    // One data file under many names, so that each has a delete file of its own.
    func alias(_ index: Int) -> String {
      root + "/data" + String(repeating: "/.", count: index + 1) + "/"
        + Location.lastComponent(of: file.path)
    }
    let original =
      formatVersion == 2
      ? try table.positionDeletes("d", of: alias(0), [1])
      : try table.deletionVector("d", of: alias(0), [1])
    let copy = try smuggled(original.path, warehouse, table)
    let paths = [copy] + (try spellings(copy, warehouse, table)).filter { $0 != copy }
    var files: [DataFile] = []
    var deletes: [DataFile] = []
    for (index, path) in paths.enumerated() {
      var data = file
      data.path = alias(index)
      files.append(data)
      var delete = original
      delete.path = path
      delete.referencedDataFile = data.path
      deletes.append(delete)
    }
    var hostile = try table.newAppend(files).commit().table
    hostile = try hostile.deleting(deletes)
    let scan = hostile.newScan()
    let tasks = try scan.planFiles().tasks.filter { !$0.deletes.isEmpty }
    #expect(tasks.count == paths.count)
    for task in tasks {
      #expect(throws: IcebergError.self, "\(task.deletes[0].dataFile.path)") {
        try scan.batches(task)
      }
    }
    let open = with(hostile.metadata, hostile, io: try unconfined()).newScan()
    let known = try #require(tasks.first { $0.deletes[0].dataFile.path == copy })
    #expect(try open.batches(known).next()?.rowCount == 2)
  }

  @Test func x1HostileEqualityDeleteFiles() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let original = try table.equalityDeletes("e", ids: [1])
    let copy = try smuggled(original.path, warehouse, table)
    let clean = try #require(table.metadata.currentSnapshotID)
    var current = table
    for path in try spellings(copy, warehouse, table) {
      var delete = original
      delete.path = path
      current = try current.deleting([delete])
      #expect(throws: IcebergError.self, "\(path)") { try current.newScan().rows() }
      if path == copy {
        let open = with(current.metadata, current, io: try unconfined())
        #expect(try open.newScan().rows().map(\.id) == [0, 2])
      }
      var commit = current.newCommit()
      commit.rollBack(to: clean)
      current = try commit.commit().table
    }
  }

  @Test func x1HostileFoldersToWriteTo() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let copy = try smuggled(try table.onlyFile().path, warehouse, table)
    let manager = FileManager.default
    let before = try manager.subpathsOfDirectory(atPath: warehouse.folder + "/outside").sorted()
    // Names that are folders, or could become some.
    let folders = try spellings(copy, warehouse, table).map { path in
      path.hasSuffix(Location.lastComponent(of: copy)) ? Location.parent(of: path) : path
    }.filter { !$0.isEmpty }
    let inside = try unconfinedWriting(table, folder: warehouse.folder + "/outside")
    #expect(inside.count == 1)
    for file in inside { try manager.removeItem(atPath: try warehouse.path(file.path)) }
    var refusedCount = 0
    for folder in Set(folders) {
      var metadata = table.metadata
      metadata.properties["write.data.path"] = folder
      let hostile = with(metadata, table)
      // A path in the table's own folder is no sin.
      if !folder.contains("link"), try isInside(folder, table, warehouse) { continue }
      refusedCount += 1
      #expect(throws: IcebergError.self, "data in \(folder)") {
        let writer = try DataFileWriter(hostile)
        defer { writer.abandon() }
        try writer.write(batch(rows()))
        _ = try writer.finish()
      }
      metadata.properties["write.data.path"] = nil
      metadata.properties["write.metadata.path"] = folder
      #expect(throws: IcebergError.self, "metadata in \(folder)") {
        try warehouse.catalog.commit(
          table.identifier,
          base: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
          requirements: [], updates: [.setProperties(["a": "b"])])
      }
    }
    #expect(refusedCount > 30)
    #expect(
      try manager.subpathsOfDirectory(atPath: warehouse.folder + "/outside").sorted() == before)
    #expect(try table.refresh().metadataLocation == table.metadataLocation)
  }

  private func unconfinedWriting(_ table: Table, folder: String) throws -> [DataFile] {
    var metadata = table.metadata
    metadata.properties["write.data.path"] = folder
    let writer = try DataFileWriter(with(metadata, table, io: try unconfined()))
    try writer.write(batch(rows()))
    return try writer.finish()
  }

  private func isInside(_ folder: String, _ table: Table, _ warehouse: Warehouse) throws -> Bool {
    do {
      let path = try Location.comparable(
        folder.hasPrefix("/") || folder.contains(":") ? folder : table.location + "/" + folder)
      return path.hasPrefix(warehouse.folder + "/warehouse/")
    } catch { return false }
  }

  @Test func x1HostileFilesToDelete() throws {
    let warehouse = try Warehouse()
    let properties = [
      "write.metadata.delete-after-commit.enabled": "true",
      "write.metadata.previous-versions-max": "1",
    ]
    var table = try warehouse.table(properties: properties).writing(rows())
    let copy = try smuggled(table.metadataLocation, warehouse, table)
    let paths = try spellings(copy, warehouse, table)
    // Old metadata files that fall out of the log.
    var metadata = table.metadata
    metadata.metadataLog = paths.map {
      MetadataLogEntry(timestampMilliseconds: 1, metadataFile: $0)
    }
    metadata.metadataLog.append(
      MetadataLogEntry(timestampMilliseconds: 1, metadataFile: copy))
    _ = try warehouse.catalog.commit(
      table.identifier,
      base: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
      requirements: [], updates: [.setProperties(["a": "b"])])
    #expect(FileManager.default.fileExists(atPath: copy))
    // Statistics of snapshots that expire.
    table = try table.refresh()
    for path in [copy, table.location + "/link/" + Location.lastComponent(of: copy)] {
      let id = try #require(table.metadata.currentSnapshotID)
      var commit = table.newCommit()
      commit.update { _ throws(IcebergError) in
        [
          .setStatistics(
            StatisticsFile(
              snapshotID: id, path: path,
              json: [
                "snapshot-id": .integer(id), "statistics-path": .string(path),
                "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1, "blob-metadata": [],
              ]))
        ]
      }
      table = try commit.commit().table.writing(rows())
    }
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = 1
    let vacuum = Vacuum(table, options: options)
    // Refused as a whole, or done without the files that are not the table's.
    do { _ = try vacuum.execute(vacuum.plan()) } catch { #expect(error.kind == .invalidMetadata) }
    #expect(FileManager.default.fileExists(atPath: copy))
  }

  @Test func x1ATablesOwnFolderIsWhereItsMetadataIs() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows())
    let copy = try smuggled(try table.onlyFile().path, warehouse, table)
    var metadata = table.metadata
    // A table may not choose its own folder: metadata elsewhere says nothing of this place.
    metadata.location = warehouse.folder + "/outside"
    let foreign = warehouse.folder + "/foreign/metadata/00000-x.metadata.json"
    let io = try unconfined()
    try io.write(foreign, metadata.json.utf8())
    var table2 = try warehouse.catalog.registerTable(
      try TableIdentifier("db.u"), metadataLocation: foreign)
    var file = try table.onlyFile()
    file.path = copy
    let error = #expect(throws: IcebergError.self) { try table2.newAppend([file]).commit() }
    #expect(error?.description.contains("outside the folders") == true)
    // Whoever opens the catalog can name it.
    var options = SQLiteCatalog.Options()
    options.tableFolders = [warehouse.folder + "/outside"]
    let catalog = try SQLiteCatalog(
      databasePath: warehouse.folder + "/catalog.db", name: "test",
      warehouse: warehouse.folder + "/warehouse", io: io, clock: SystemClock(), options: options)
    table2 = try catalog.loadTable(table2.identifier)
    table2 = try table2.newAppend([file]).commit().table
    #expect(try table2.newScan().planFiles().tasks.count == 2)
    // A table whose metadata lies in its location brings its folder along.
    metadata = table.metadata
    metadata.location = warehouse.folder + "/elsewhere"
    let own = warehouse.folder + "/elsewhere/metadata/00000-x.metadata.json"
    try io.write(own, metadata.json.utf8())
    let table3 = try warehouse.catalog.registerTable(
      try TableIdentifier("db.v"), metadataLocation: own)
    #expect(try table3.writing(rows()).newScan().planFiles().tasks.count == 2)
  }
}
