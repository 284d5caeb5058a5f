import FileFormats
import Synchronization

/// What delete files say, kept between the data files of one scan: the files of a partition often
/// share them. Thread-safe.
final class DeleteCache: Sendable {
  private struct EqualityKey: Hashable {
    var ids: [Int32]
    var paths: [String]
  }

  private struct State {
    var positions: [String: [String: PositionBitmap]] = [:]
    var positionOrder: [String] = []
    var equality: [EqualityKey: EqualityDeletes] = [:]
    var equalityOrder: [EqualityKey] = []
  }

  /// So many delete files, and so many different sets of equality deletes, are remembered.
  private static let capacity = 8

  private let state = Mutex(State())

  init() {}

  func positions(
    of file: DataFile, in io: FileIO, _ options: ParquetReaderOptions = ParquetReaderOptions()
  ) throws(IcebergError) -> [String: PositionBitmap] {
    // What speaks of one data file is asked for once.
    if DeleteFileIndex.referencedPath(file) != nil {
      return try PositionDeleteFile.read(file, io, options)
    }
    if let known = state.withLock({ $0.positions[file.path] }) { return known }
    let read = try PositionDeleteFile.read(file, io, options)
    state.withLock { state in
      guard state.positions.updateValue(read, forKey: file.path) == nil else { return }
      state.positionOrder.append(file.path)
      if state.positionOrder.count > DeleteCache.capacity {
        state.positions[state.positionOrder.removeFirst()] = nil
      }
    }
    return read
  }

  func equality(
    ids: [Int32], files: [DataFile], _ table: Table, _ options: ParquetReaderOptions
  ) throws(IcebergError) -> EqualityDeletes {
    let key = EqualityKey(ids: ids, paths: files.map(\.path).sorted())
    if let known = state.withLock({ $0.equality[key] }) { return known }
    let read = try EqualityDeletes(ids: ids, files: files, table, options)
    state.withLock { state in
      guard state.equality.updateValue(read, forKey: key) == nil else { return }
      state.equalityOrder.append(key)
      if state.equalityOrder.count > DeleteCache.capacity {
        state.equality[state.equalityOrder.removeFirst()] = nil
      }
    }
    return read
  }
}
