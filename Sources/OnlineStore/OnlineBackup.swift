public import Storage
public import WriteAheadLog

/// A consistent copy of an online store while its writer goes on: the log, and the checkpoint of the index
/// that lets the copy open quickly.
///
/// The order matters: first the log's beginning is held, then the checkpoint, then the log's end. So the
/// checkpoint names no record that the copy lacks. Not thread-safe.
public final class OnlineBackup {
  public let log: LogBackup
  private let directory: String
  private let fileSystem: any FileSystem
  /// The checkpoint as it was when the copy was last extended; the file is replaced as a whole.
  private var checkpoint: (any File)?

  /// - Parameter directory: of the log.
  public init(directory: String, fileSystem: any FileSystem) throws(OnlineStoreError) {
    self.directory = directory
    self.fileSystem = fileSystem
    do { log = try LogBackup(directory: directory, fileSystem: fileSystem) } catch {
      throw .log(error)
    }
  }

  /// Takes in what was made durable since. Throws `.log(.removed)` when the copy has to begin anew.
  public func extend() throws(OnlineStoreError) {
    do throws(StorageError) {
      checkpoint = try fileSystem.open(
        StoragePath.join(directory, CheckpointFile.name), .read)
    } catch {
      guard error.kind == .notFound else { throw .log(.storage(error)) }
      checkpoint = nil
    }
    do { try log.extend() } catch { throw .log(error) }
  }

  /// The files of the copy, in the order in which they are to be written.
  public func files() throws(OnlineStoreError) -> [LogBackupFile] {
    do throws(WriteAheadLogError) {
      var files = try log.files()
      if let checkpoint {
        let size: Int64
        do { size = try checkpoint.size() } catch { throw WriteAheadLogError.storage(error) }
        files.insert(
          LogBackupFile(
            name: CheckpointFile.name, content: .file(checkpoint, sizeBytes: size), header: []),
          at: 0)
      }
      return files
    } catch { throw .log(error) }
  }

  /// Reads the copy in `directory` as an opening would. Returns false when its checkpoint is of no use,
  /// which harms nobody and may be left out.
  public func check(_ directory: String) throws(OnlineStoreError) -> Bool {
    do { try log.check(directory, fileSystem: fileSystem) } catch { throw .log(error) }
    do throws(StorageError) {
      let found = try CheckpointFile.read(
        StoragePath.join(directory, CheckpointFile.name), fileSystem: fileSystem,
        shardCount: OnlineStore.shardCount
      ) { _ in }
      guard let found else { return false }
      return found.store == log.store && found.lsn <= log.lastLSN
    } catch { throw .log(.storage(error)) }
  }
}
