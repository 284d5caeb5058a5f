/// A delete file and the sequence number from which it applies.
public struct DeleteFile: Hashable, Sendable {
  public var dataFile: DataFile
  /// The data sequence number of the deletes.
  public var sequenceNumber: Int64
}

/// Finds the delete files that apply to a data file.
struct DeleteFileIndex {
  private struct PartitionKey: Hashable {
    var specID: Int32
    var values: [Literal?]
  }

  private var byPath: [String: [DeleteFile]] = [:]
  private var byPartition: [PartitionKey: [DeleteFile]] = [:]
  /// Equality deletes of an unpartitioned spec apply to every file.
  private var global: [DeleteFile] = []

  var isEmpty: Bool { byPath.isEmpty && byPartition.isEmpty && global.isEmpty }

  mutating func add(_ delete: DeleteFile, isUnpartitioned: Bool) {
    let file = delete.dataFile
    if file.content == .positionDeletes, let path = DeleteFileIndex.referencedPath(file) {
      byPath[path, default: []].append(delete)
    } else if file.content == .equalityDeletes, isUnpartitioned {
      global.append(delete)
    } else {
      let key = PartitionKey(specID: file.specID, values: file.partition)
      byPartition[key, default: []].append(delete)
    }
  }

  /// The deletes for a data file with this data sequence number. A deletion vector makes all
  /// position delete files of its data file obsolete.
  func deletes(for file: DataFile, sequenceNumber: Int64) -> [DeleteFile] {
    guard !isEmpty else { return [] }
    let key = PartitionKey(specID: file.specID, values: file.partition)
    let candidates = (byPath[file.path] ?? []) + (byPartition[key] ?? []) + global
    let found = candidates.filter { delete in
      delete.dataFile.content == .equalityDeletes
        ? sequenceNumber < delete.sequenceNumber : sequenceNumber <= delete.sequenceNumber
    }
    let vectors = found.filter { $0.dataFile.isDeletionVector }
    guard let newest = vectors.max(by: { $0.sequenceNumber < $1.sequenceNumber }) else {
      return found
    }
    return [newest] + found.filter { $0.dataFile.content == .equalityDeletes }
  }

  /// The one data file that a position delete file speaks of, if it says so: by its own field, or
  /// by equal bounds of the column of paths.
  static func referencedPath(_ file: DataFile) -> String? {
    if let path = file.referencedDataFile { return path }
    let pathColumn: Int32 = 2_147_483_546
    guard let lower = file.lowerBounds[pathColumn], lower == file.upperBounds[pathColumn] else {
      return nil
    }
    return String(validating: lower, as: UTF8.self)
  }
}
