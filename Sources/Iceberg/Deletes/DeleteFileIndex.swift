import Storage

/// A delete file and the sequence number from which it applies.
public struct DeleteFile: Hashable, Sendable {
  public var dataFile: DataFile
  /// The data sequence number of the deletes.
  public var sequenceNumber: Int64
}

/// Finds the delete files that apply to a data file: by the path that they name, by partition, or
/// everywhere, and among those by a search for the first that is new enough.
struct DeleteFileIndex {
  /// Deletes from the oldest to the newest.
  private struct Group {
    private(set) var deletes: [DeleteFile] = []

    mutating func add(_ delete: DeleteFile) { deletes.append(delete) }

    mutating func sort() { deletes.sort { $0.sequenceNumber < $1.sequenceNumber } }

    /// Those whose sequence number is at least this one.
    func from(_ sequenceNumber: Int64) -> ArraySlice<DeleteFile> {
      deletes[deletes.partitionPoint { $0.sequenceNumber < sequenceNumber }...]
    }
  }

  private var vectors: [String: Group] = [:]
  private var positionsByPath: [String: Group] = [:]
  private var positionsByPartition: [PartitionKey: Group] = [:]
  private var equalityByPartition: [PartitionKey: Group] = [:]
  /// Equality deletes of an unpartitioned spec apply to every file.
  private var global = Group()

  private(set) var isEmpty = true

  /// - Parameter isUnpartitioned: tells it of the delete's partition spec.
  init(_ deletes: [DeleteFile] = [], isUnpartitioned: (DataFile) -> Bool) {
    isEmpty = deletes.isEmpty
    for delete in deletes {
      let file = delete.dataFile
      let key = file.partitionKey
      if file.content == .equalityDeletes {
        if isUnpartitioned(file) {
          global.add(delete)
        } else {
          equalityByPartition[key, default: Group()].add(delete)
        }
      } else if let path = DeleteFileIndex.referencedPath(file) {
        if file.isDeletionVector {
          vectors[path, default: Group()].add(delete)
        } else {
          positionsByPath[path, default: Group()].add(delete)
        }
      } else {
        positionsByPartition[key, default: Group()].add(delete)
      }
    }
    for key in vectors.keys { vectors[key]?.sort() }
    for key in positionsByPath.keys { positionsByPath[key]?.sort() }
    for key in positionsByPartition.keys { positionsByPartition[key]?.sort() }
    for key in equalityByPartition.keys { equalityByPartition[key]?.sort() }
    global.sort()
  }

  /// The deletes for a data file with this data sequence number: deletes of positions may be of the
  /// same commit, equality deletes must be newer. A deletion vector makes all position delete files
  /// of its data file obsolete.
  func deletes(for file: DataFile, sequenceNumber: Int64) -> [DeleteFile] {
    guard !isEmpty else { return [] }
    let key = file.partitionKey
    var found: [DeleteFile] = []
    if let vector = vectors[file.path]?.from(sequenceNumber).last {
      found = [vector]
    } else {
      found += positionsByPath[file.path]?.from(sequenceNumber) ?? []
      found += positionsByPartition[key]?.from(sequenceNumber) ?? []
    }
    let next = sequenceNumber.addingReportingOverflow(1)
    guard !next.overflow else { return found }
    found += equalityByPartition[key]?.from(next.partialValue) ?? []
    found += global.from(next.partialValue)
    return found
  }

  /// The one data file that a position delete file speaks of, if it says so: by its own field, or
  /// by equal bounds of the column of paths.
  static func referencedPath(_ file: DataFile) -> String? {
    if let path = file.referencedDataFile { return path }
    let pathColumn = MetadataColumn.deletedPath.rawValue
    guard let lower = file.lowerBounds[pathColumn], lower == file.upperBounds[pathColumn] else {
      return nil
    }
    return String(validating: lower, as: UTF8.self)
  }
}
