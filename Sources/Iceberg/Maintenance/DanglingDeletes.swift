import Columnar
import FileFormats

/// Delete files that apply to no row of a table any more: what they removed was rewritten without it. Nobody else
/// ever takes them out, and every scan goes on reading them.
enum DanglingDeletes {
  /// Cost: one plan of the whole table, and the path column of each position delete file that speaks of several
  /// data files. One that cannot be read stays.
  static func find(in table: Table) throws(IcebergError) -> [DataFile] {
    guard let snapshot = table.metadata.currentSnapshot else { return [] }
    let store = ManifestStore(io: table.io)
    var unused: [String: DataFile] = [:]
    for manifest in try store.manifests(of: snapshot)
    where manifest.content == .deletes && (manifest.hasAddedFiles || manifest.hasExistingFiles) {
      for entry in try store.entries(of: manifest, metadata: table.metadata, statistics: .none)
      where entry.isLive {
        unused[entry.dataFile.commitKey] = entry.dataFile
      }
    }
    guard !unused.isEmpty else { return [] }
    var paths = DeletedPaths(table.io)
    let tasks = try table.newScan().tasks()
    defer { tasks.cancel() }
    while !unused.isEmpty, let task = try tasks.next() {
      for delete in task.deletes where unused[delete.dataFile.commitKey] != nil {
        if paths.mayApply(delete.dataFile, to: task.dataFile.path) {
          unused[delete.dataFile.commitKey] = nil
        }
      }
    }
    return unused.values.sorted { $0.commitKey < $1.commitKey }
  }
}

/// Which data files the position delete files of a partition speak of: that stands in their rows only. Each is read
/// once. Memory: eight bytes and some for each data file that one speaks of.
struct DeletedPaths {
  private let io: FileIO
  /// Hashes of paths, by the path of the delete file; nil for one that cannot be read. Two paths of one hash only
  /// make a delete look as if it applied.
  private var known: [String: Set<Int>?] = [:]

  init(_ io: FileIO) { self.io = io }

  /// Whether a delete file that applies to a data file by its partition and its age may say something of it.
  mutating func mayApply(_ delete: DataFile, to path: String) -> Bool {
    guard delete.content == .positionDeletes, DeleteFileIndex.referencedPath(delete) == nil else {
      return true
    }
    let paths: Set<Int>?
    if let found = known[delete.path] {
      paths = found
    } else {
      // What cannot be read may say anything.
      do throws(IcebergError) { paths = try read(delete) } catch { paths = nil }
      known[delete.path] = .some(paths)
    }
    return paths?.contains(path.hashValue) ?? true
  }

  private func read(_ delete: DataFile) throws(IcebergError) -> Set<Int> {
    var found: Set<Int> = []
    do {
      let reader = try ParquetReader(file: try io.open(delete.path))
      let stream = try reader.batches(fieldIDs: [MetadataColumn.deletedPath.rawValue])
      while let batch = try stream.next() {
        let paths = batch.columns[0]
        guard paths.type == .string else {
          throw IcebergError(.invalidMetadata, "it is no position delete file")
        }
        // Rows come sorted by path.
        for row in 0..<batch.rowCount where row == 0 || !paths.hasSameBytes(row, as: row - 1) {
          found.insert(paths.string(at: row).hashValue)
        }
      }
    } catch { throw IcebergError(reading: error) }
    return found
  }
}

extension RewriteDataFiles {
  /// How often removing dangling deletes is tried when others change what it was found on.
  private static let danglingAttempts = 5

  /// Takes out delete files that apply to nothing any more, in a commit of its own. What the rewrite did stands
  /// whatever comes of it: another run finds them again.
  func removeDanglingDeletes(_ result: inout RewriteDataFilesResult) {
    for attempt in 1...Self.danglingAttempts {
      do throws(IcebergError) {
        let head = try result.table.refresh()
        let dangling = try DanglingDeletes.find(in: head)
        guard let start = head.metadata.currentSnapshotID, !dangling.isEmpty else { return }
        var commit = head.newCommit()
        commit.options = commitOptions
        commit.summaryProperties = summaryProperties
        commit.removeUnusedDeletes(dangling, startingSnapshotID: start)
        result.table = try commit.commit().table
        result.removedDeleteFileCount += dangling.count
        return
      } catch {
        if error.kind == .commitStateUnknown { result.unknownCommit = error }
        guard error.kind == .validationFailed, attempt < Self.danglingAttempts, !isStopped() else {
          result.danglingDeletesError = error
          return
        }
      }
    }
  }
}

extension TableCommit {
  /// Removes delete files that apply to nothing in a snapshot.
  ///
  /// - Parameter startingSnapshotID: that snapshot. Others may have appended and deleted since: new data is younger
  ///   than the deletes. After any other change the commit fails: what came may have old sequence numbers.
  package mutating func removeUnusedDeletes(_ files: [DataFile], startingSnapshotID: Int64) {
    var change = FileChange(operation: .replace)
    change.removedDeletes = files
    self.change = change
    let branch = branch
    validate { metadata throws(IcebergError) in
      for snapshot in metadata.ancestors(of: metadata.references[branch]?.snapshotID) {
        if snapshot.snapshotID == startingSnapshotID { return }
        guard snapshot.operation == .append || snapshot.operation == .delete else { break }
      }
      throw IcebergError(
        .validationFailed, "data files were changed meanwhile: look for dangling deletes again")
    }
  }
}
