internal import JSON
internal import Storage

/// What a backup has: written last, so that a directory with it is a whole backup.
///
/// One line of JSON, and one with the checksum of the first. File names are relative to the backup.
struct BackupManifest: Sendable {
  static let fileName = "backup.json"
  /// The store's `store.json`, under another name: a backup is no store, and must not be written to.
  static let definitionsName = "definitions.json"
  static let formatVersion: Int64 = 1
  private static let sizeLimitBytes = 1 << 30

  enum Kind: String, Sendable {
    case definitions, log, catalog, view, metadata, manifest, data, deletes, statistics
    case manifestList = "manifest-list"
    case trainingSet = "training-set"
  }

  struct File: Hashable, Sendable {
    var name: String
    var sizeBytes: Int64
    /// CRC-32C of the file's bytes.
    var checksum: UInt32
    var kind: Kind
  }

  var storeID: String
  var createdMicroseconds: Int64
  /// Where the store was: tables record their files' places.
  var directory: String
  var firstLSN: Int64
  var lastLSN: Int64
  /// Whether it has the offline tables.
  var hasTables: Bool
  var files: [File]

  var sizeBytes: Int64 { files.reduce(0) { $0 + $1.sizeBytes } }

  var encoded: [UInt8] {
    let files = self.files.map { file -> JSONValue in
      [
        "name": .string(file.name), "kind": .string(file.kind.rawValue),
        "size": .integer(file.sizeBytes), "crc32c": .integer(Int64(file.checksum)),
      ]
    }
    let json: JSONValue = [
      "format_version": .integer(Self.formatVersion), "store_id": .string(storeID),
      "created_microseconds": .integer(createdMicroseconds), "directory": .string(directory),
      "first_lsn": .integer(firstLSN), "last_lsn": .integer(lastLSN),
      "has_tables": .bool(hasTables), "files": .array(files),
    ]
    let line = json.utf8()
    let checksum = CRC32C(of: line.rawSpan).value
    return line + Array("\ncrc32c \(checksum)\n".utf8)
  }

  /// Reads the manifest of the backup in `directory`; throws `.notAStore` when there is none, `.corrupt`
  /// when it is not what was written.
  init(directory path: String, fileSystem: any FileSystem) throws(FeatureStoreError) {
    let file = StoragePath.join(path, Self.fileName)
    let bytes: [UInt8]
    do throws(StorageError) {
      bytes = try fileSystem.readFile(file, limitBytes: Self.sizeLimitBytes)
    } catch {
      guard error.kind == .notFound || error.kind == .notDirectory else {
        throw FeatureStoreError(error)
      }
      throw FeatureStoreError(
        .notAStore, "'\(path)' is no backup: it has no \(Self.fileName)", cause: error)
    }
    func damaged(_ message: String) -> FeatureStoreError {
      FeatureStoreError(.corrupt, "'\(file)' is damaged: \(message)")
    }
    guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
      throw damaged("it is cut short")
    }
    let line = Array(bytes[..<end])
    let checksum = CRC32C(of: line.rawSpan).value
    guard bytes[end...].elementsEqual("\ncrc32c \(checksum)\n".utf8) else {
      throw damaged("its checksum does not match")
    }
    do { self = try Self(json: JSONValue(parsing: line)) } catch let error as FeatureStoreError {
      throw error
    } catch { throw damaged("\(error)") }
    guard Set(files.map(\.name)).count == files.count,
      files.allSatisfy({ Self.isProper($0.name) })
    else { throw damaged("a file's name is not allowed") }
  }

  private struct Malformed: Error {}

  private init(json: JSONValue) throws {
    guard let version = json["format_version"]?.int64Value else { throw Malformed() }
    guard version == Self.formatVersion else {
      throw FeatureStoreError(
        .notAStore,
        "the backup has format version \(version); this fstore reads "
          + "\(Self.formatVersion)")
    }
    guard let storeID = json["store_id"]?.stringValue,
      let created = json["created_microseconds"]?.int64Value,
      let directory = json["directory"]?.stringValue,
      let firstLSN = json["first_lsn"]?.int64Value, let lastLSN = json["last_lsn"]?.int64Value,
      let hasTables = json["has_tables"]?.boolValue, let list = json["files"]?.arrayValue
    else { throw Malformed() }
    self.init(
      storeID: storeID, createdMicroseconds: created, directory: directory, firstLSN: firstLSN,
      lastLSN: lastLSN, hasTables: hasTables,
      files: try list.map { file in
        guard let name = file["name"]?.stringValue, let size = file["size"]?.int64Value, size >= 0,
          let number = file["crc32c"]?.int64Value, let checksum = UInt32(exactly: number),
          let kind = file["kind"]?.stringValue.flatMap({ Kind(rawValue: $0) })
        else { throw Malformed() }
        return File(name: name, sizeBytes: size, checksum: checksum, kind: kind)
      })
  }

  init(
    storeID: String, createdMicroseconds: Int64, directory: String, firstLSN: Int64,
    lastLSN: Int64, hasTables: Bool, files: [File]
  ) {
    self.storeID = storeID
    self.createdMicroseconds = createdMicroseconds
    self.directory = directory
    self.firstLSN = firstLSN
    self.lastLSN = lastLSN
    self.hasTables = hasTables
    self.files = files
  }

  /// Relative, and leading nowhere else.
  private static func isProper(_ name: String) -> Bool {
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return !name.utf8.contains(0)
      && parts.allSatisfy {
        !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
      }
  }
}

extension BackupManifest {
  /// The backup that a path means: the directory itself, or the newest backup in it.
  static func find(
    _ path: String, fileSystem: any FileSystem
  ) throws(FeatureStoreError) -> (directory: String, manifest: BackupManifest) {
    do {
      let isOne = try fileSystem.information(StoragePath.join(path, fileName)) != nil
      if !isOne, let newest = try newest(in: path, fileSystem: fileSystem) { return newest }
    } catch { throw FeatureStoreError(error) }
    return (path, try BackupManifest(directory: path, fileSystem: fileSystem))
  }

  /// The newest whole backup in a directory of backups; nil for none. Names follow the time.
  static func newest(
    in path: String, fileSystem: any FileSystem
  ) throws(StorageError) -> (directory: String, manifest: BackupManifest)? {
    guard try fileSystem.information(path)?.isDirectory == true else { return nil }
    for name in try fileSystem.contentsOfDirectory(path).sorted(by: >) where !name.hasPrefix(".") {
      let directory = StoragePath.join(path, name)
      do throws(FeatureStoreError) {
        return (directory, try BackupManifest(directory: directory, fileSystem: fileSystem))
      } catch { continue }
    }
    return nil
  }
}
