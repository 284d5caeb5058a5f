import Iceberg

/// What the tables of a history must have: the rows of each snapshot, from the order in which the catalog
/// took the commits. A row is a number; its partition is the number modulo three.
///
/// Reading is done here once more, apart from the library's scans: entries of manifests, and which deletes
/// apply to which files.
final class RowOracle {
  typealias Rows = Set<Int64>

  static func partition(_ row: Int64) -> Int32 { Int32(row % 3) }

  private let disk: TableDisk
  /// By snapshot, for ever.
  private(set) var rows: [Int64: Rows] = [:]
  /// The files that a snapshot of the table needs.
  private var files: [Int64: [String]] = [:]
  private(set) var problem: String?

  init(disk: TableDisk) { self.disk = disk }

  func report(_ problem: String) { self.problem = self.problem ?? problem }

  func require(_ condition: Bool, _ problem: @autoclosure () -> String) {
    if !condition { report(problem()) }
  }

  /// A commit that the catalog took: `effect` gives the rows after it from those before.
  func accept(_ change: TableChange, _ table: Table, effect: ((Rows) -> Rows)?, isVacuum: Bool) {
    let before = change.base.metadata
    let after = table.metadata
    require(after.lastSequenceNumber >= before.lastSequenceNumber, "the sequence number fell")
    require(
      after.lastUpdatedMilliseconds >= before.lastUpdatedMilliseconds, "the table's time fell")
    require(after.tableUUID == before.tableUUID, "it became another table")
    for update in change.updates {
      switch update {
      case .addSnapshot(let snapshot):
        check(snapshot, before, after)
        let parent = snapshot.parentSnapshotID.flatMap { rows[$0] } ?? []
        guard let effect else { return report("a snapshot of what changes no rows") }
        rows[snapshot.snapshotID] = effect(parent)
        check(table, snapshot.snapshotID)
      case .removeReference(let name) where isVacuum:
        require(
          before.references[name]?.maxReferenceAgeMilliseconds != nil,
          "a vacuum removed '\(name)', which has no age")
      case .removeSnapshots(let ids):
        for id in ids { files[id] = nil }
      default: break
      }
    }
    for (name, reference) in after.references {
      require(
        after.snapshot(id: reference.snapshotID) != nil, "'\(name)' names no snapshot of the table")
    }
    require(
      before.currentSnapshotID == nil || after.currentSnapshotID != nil, "nothing is current")
  }

  private func check(_ snapshot: Snapshot, _ before: TableMetadata, _ after: TableMetadata) {
    let id = snapshot.snapshotID
    require(rows[id] == nil, "the snapshot id \(id) was there before")
    require(
      snapshot.sequenceNumber == before.lastSequenceNumber + 1
        && after.lastSequenceNumber == snapshot.sequenceNumber,
      "sequence number \(snapshot.sequenceNumber) after \(before.lastSequenceNumber)")
    if let parent = snapshot.parentSnapshotID {
      let head = before.snapshot(id: parent)
      require(head != nil, "the parent of \(id) is not in the table")
      require(
        (head?.timestampMilliseconds ?? .max) < snapshot.timestampMilliseconds,
        "\(id) is not younger than its parent")
    }
    guard before.formatVersion >= 3 else { return }
    let first = before.nextRowID ?? 0
    require(snapshot.firstRowID == first, "row ids are given out twice or never")
    require(after.nextRowID == first + (snapshot.addedRows ?? -1), "the next row id is wrong")
  }

  /// Reads one snapshot and compares.
  func check(_ table: Table, _ id: Int64) {
    do {
      let found = try read(table, id)
      let expected = (rows[id] ?? []).sorted()
      require(found.rows.sorted() == expected, "rows \(found.rows.sorted()), expected \(expected)")
      files[id] = found.files
    } catch { report("snapshot \(id) cannot be read: \(error)") }
  }

  /// Every snapshot of the table has all its files.
  func checkFiles(_ metadata: TableMetadata) {
    for snapshot in metadata.snapshots {
      for file in files[snapshot.snapshotID] ?? [] where !disk.contains(file) {
        return report("'\(file)' is missing, of snapshot \(snapshot.snapshotID)")
      }
    }
  }

  /// The files that the table needs, by what was read when its snapshots were made.
  func reachable(_ metadata: TableMetadata) -> Set<String> {
    Set(metadata.snapshots.flatMap { files[$0.snapshotID] ?? [] })
  }

  func read(_ table: Table, _ id: Int64) throws -> (rows: [Int64], files: [String]) {
    guard let snapshot = table.metadata.snapshot(id: id) else {
      throw IcebergError(.notFound, "no snapshot \(id)")
    }
    var inspection = TableInspection(table)
    inspection.version = .snapshot(id)
    var files: Set<String> = []
    if let list = snapshot.manifestList { files.insert(try Location.path(of: list)) }
    var entries: [ManifestEntry] = []
    try inspection.entries { entry, manifest throws(IcebergError) in
      files.insert(try Location.path(of: manifest.path))
      guard entry.isLive else { return }
      files.insert(try Location.path(of: entry.dataFile.path))
      entries.append(entry)
    }
    let data = entries.filter { $0.dataFile.content == .data }
    let deletes = entries.filter { $0.dataFile.content != .data }
    require(
      snapshot.summary["total-data-files"] == "\(data.count)",
      "\(data.count) data files, but the summary says otherwise")
    var rows: [Int64] = []
    for entry in data {
      rows += try FakeFile.liveRows(
        of: entry.dataFile, deletes: deletes.filter { applies($0, to: entry) }.map(\.dataFile), disk
      )
    }
    return (rows, files.sorted())
  }

  /// The specification's rules, once more.
  private func applies(_ delete: ManifestEntry, to entry: ManifestEntry) -> Bool {
    let (file, deleted) = (delete.dataFile, entry.dataFile)
    let (newer, older) = (delete.sequenceNumber ?? -1, entry.sequenceNumber ?? .max)
    if file.content == .positionDeletes {
      return file.referencedDataFile == deleted.path && newer >= older
    }
    return file.partition == deleted.partition && newer > older
  }
}

/// Data and delete files that no Parquet reader opens: rows or positions of eight bytes each.
enum FakeFile {
  static func bytes(_ numbers: [Int64]) -> [UInt8] {
    numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
  }

  static func numbers(_ file: DataFile, _ disk: TableDisk) throws -> [Int64] {
    guard let bytes = disk.bytes(try Location.path(of: file.path)) else {
      throw IcebergError(.notFound, "'\(file.path)' is missing")
    }
    guard bytes.count == file.fileSizeInBytes, bytes.count == file.recordCount * 8 else {
      throw IcebergError(.invalidMetadata, "'\(file.path)' is not as it was written")
    }
    return stride(from: 0, to: bytes.count, by: 8).map { start in
      (0..<8).reduce(Int64(0)) { $0 | Int64(bytes[start + $1]) << ($1 * 8) }
    }
  }

  /// The rows of a data file that are left.
  static func liveRows(
    of file: DataFile, deletes: [DataFile], _ disk: TableDisk
  ) throws -> [Int64] {
    let rows = try numbers(file, disk)
    guard !deletes.isEmpty else { return rows }
    var positions: Set<Int64> = []
    var gone: Set<Int64> = []
    for delete in deletes {
      let numbers = try numbers(delete, disk)
      if delete.content == .positionDeletes {
        positions.formUnion(numbers)
      } else {
        gone.formUnion(numbers)
      }
    }
    return rows.enumerated().filter { !positions.contains(Int64($0)) && !gone.contains($1) }
      .map(\.element)
  }

  static func deletedPositions(_ deletes: [DataFile], _ disk: TableDisk) throws -> Set<Int64> {
    var positions: Set<Int64> = []
    for delete in deletes where delete.content == .positionDeletes {
      positions.formUnion(try numbers(delete, disk))
    }
    return positions
  }
}
