import BenchmarkSupport
import Glibc
import Iceberg
import JSON
import Storage

/// A table with a long history, and the vacuum that ends it.
extension MaintenanceBenchmark {
  private static let filesPerFolder = 1000
  private static let snapshotsPerMerge = 100
  private static let filesPerCompaction = 1000

  /// A file as a manifest describes it; what is on the disk is one byte.
  static func file(
    _ name: String, _ index: Int, _ folder: String, bytes: Int64 = 1
  ) -> DataFile {
    var file = DataFile(
      path: "\(folder)/\(index / filesPerFolder)/\(name)-\(index)-4d6f-8b1a-3c5e7f90a1b2.parquet",
      specID: 0, partition: [], recordCount: 100, fileSizeInBytes: bytes)
    for id in Int32(1)...15 {
      file.columnSizes[id] = 80_000 + Int64(index % 1000)
      file.valueCounts[id] = 100
      file.nullValueCounts[id] = Int64(index % 50)
    }
    file.lowerBounds[11] = Literal.long(Int64(index % 977)).boundBytes
    file.upperBounds[11] = Literal.long(Int64(1_000_000 - index % 977)).boundBytes
    return file
  }

  private static func touch(_ path: String) throws {
    let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600)
    guard descriptor >= 0 else { throw Failure(message: "cannot create \(path)") }
    defer { close(descriptor) }
    guard write(descriptor, "1", 1) == 1 else { throw Failure(message: "cannot write \(path)") }
  }

  /// So many appends, each of its share of so many files, their manifests merged by hundreds as commits merge them;
  /// the last commit puts one file in the place of every thousand. Written as such commits leave it, but in one go.
  static func history(_ directory: String, files count: Int, snapshots: Int) throws {
    let catalog = try catalog(directory)
    try catalog.createNamespace(try Namespace("bench"))
    let table = try catalog.createTable(try identifier(), TableDefinition(schema: schema))
    var builder = try HistoryBuilder(table)
    let data = table.metadata.dataFolder
    let appends = max(1, snapshots - 1)
    var small: [(manifest: ManifestFile, files: Range<Int>)] = []
    var merged: [(manifest: ManifestFile, files: Range<Int>)] = []
    func entries(_ files: Range<Int>, _ status: ManifestEntry.Status) -> [ManifestEntry] {
      files.map {
        ManifestEntry(
          status: status, snapshotID: status == .deleted ? Int64(snapshots) : 1,
          sequenceNumber: 1, fileSequenceNumber: 1, dataFile: file("small", $0, data))
      }
    }
    for append in 0..<appends {
      let files = (append * count / appends)..<((append + 1) * count / appends)
      for index in files {
        if index % filesPerFolder == 0 {
          try table.io.fileSystem.createDirectory(
            table.io.path(of: "\(data)/\(index / filesPerFolder)"), withIntermediates: true)
        }
        try touch(table.io.path(of: file("small", index, data).path))
      }
      let added = files.map {
        ManifestEntry(status: .added, dataFile: file("small", $0, data))
      }
      small.append((try builder.manifest(added), files))
      if small.count == snapshotsPerMerge {
        let range = small[0].files.lowerBound..<files.upperBound
        merged.append((try builder.manifest(entries(range, .existing)), range))
        small = []
      }
      try builder.snapshot(.append, (small.map(\.manifest) + merged.map(\.manifest)))
    }
    let compacted = stride(from: 0, to: count, by: filesPerCompaction).map {
      file("large", $0, data)
    }
    for file in compacted { try touch(table.io.path(of: file.path)) }
    var last = [
      try builder.manifest(compacted.map { ManifestEntry(status: .added, dataFile: $0) })
    ]
    for range in small.map(\.files) + merged.map(\.files) {
      last.append(try builder.manifest(entries(range, .deleted)))
    }
    try builder.snapshot(.replace, last)
    try catalog.dropTable(try identifier())
    _ = try catalog.registerTable(try identifier(), metadataLocation: try builder.finish())
    print(#"{"files": \#(count), "snapshots": \#(builder.snapshotCount)}"#)
  }

  /// Expires all snapshots but the last, with the files that only they had.
  static func vacuum(_ directory: String) throws {
    let start = seconds()
    let table = try catalog(directory).loadTable(try identifier())
    let loaded = seconds()
    var options = VacuumOptions()
    options.olderThanMilliseconds = table.clock.nowMicroseconds() / 1000
    options.retainLast = 1
    let vacuum = Vacuum(table, options: options)
    let plan = try vacuum.plan()
    let planned = seconds()
    let (planningCPU, planningPeak) = usage()
    let result = try vacuum.execute(plan)
    let end = seconds()
    let used = usage()
    if let failure = result.failure { throw failure }
    print(
      #"{"loading": \#(loaded - start), "planning": \#(planned - loaded), "#
        + #""planning-cpu": \#(planningCPU), "planning-mib": \#(planningPeak), "#
        + #""executing": \#(end - planned), "cpu": \#(used.cpu), "peak-mib": \#(used.peak), "#
        + #""expired-snapshots": \#(result.expiredSnapshotCount), "#
        + #""deleted-files": \#(result.deletedFileCount)}"#)
  }
}

/// Writes manifests and lists of one table without committing each snapshot.
struct HistoryBuilder {
  private let table: Table
  private var metadata: TableMetadata
  private let firstMilliseconds: Int64
  private var manifestCount = 0

  var snapshotCount: Int { metadata.snapshots.count }

  init(_ table: Table) throws {
    self.table = table
    metadata = table.metadata
    // Long ago, so that all may expire.
    firstMilliseconds = table.metadata.lastUpdatedMilliseconds - 30 * 86_400_000
  }

  /// Without a sync: this is no commit.
  private func write(_ bytes: [UInt8], to location: String) throws {
    let file = try table.io.create(location)
    try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    try file.close()
  }

  /// - Parameter isNamed: whether the manifest says its name, as ours do; others may then have it by another one.
  mutating func manifest(
    _ entries: [ManifestEntry], isNamed: Bool = true
  ) throws -> ManifestFile {
    let id = Int64(snapshotCount + 1)
    let location = "\(metadata.metadataFolder)/manifest-\(manifestCount).avro"
    manifestCount += 1
    var writer = try ManifestWriter(
      schema: metadata.currentSchema, spec: metadata.defaultPartitionSpec)
    for entry in entries { try writer.add(entry) }
    let (bytes, summary) = try writer.finish(location: isNamed ? location : nil)
    try write(bytes, to: location)
    var manifest = summary.manifestFile(path: location, addedSnapshotID: id)
    manifest.sequenceNumber = id
    manifest.minSequenceNumber = 1
    return manifest
  }

  mutating func snapshot(_ operation: SnapshotOperation, _ manifests: [ManifestFile]) throws {
    let id = Int64(snapshotCount + 1)
    let location = "\(metadata.metadataFolder)/snap-\(id).avro"
    let parent = id > 1 ? id - 1 : nil
    try write(
      ManifestList.write(
        manifests, snapshotID: id, parentSnapshotID: parent, sequenceNumber: id,
        location: location),
      to: location)
    metadata.snapshots.append(
      Snapshot(
        snapshotID: id, parentSnapshotID: parent, sequenceNumber: id,
        timestampMilliseconds: firstMilliseconds + id * 1000, manifestList: location,
        operation: operation, summary: ["added-data-files": "100", "added-records": "10000"],
        schemaID: metadata.currentSchemaID))
  }

  /// The location of the metadata with all snapshots.
  consuming func finish() throws -> String {
    let last = Int64(snapshotCount)
    metadata.currentSnapshotID = last
    metadata.lastSequenceNumber = last
    metadata.references[SnapshotReference.main] = SnapshotReference(
      snapshotID: last, kind: .branch)
    let location = "\(metadata.metadataFolder)/00001-history.metadata.json"
    try write(metadata.json.utf8(), to: location)
    return location
  }
}
