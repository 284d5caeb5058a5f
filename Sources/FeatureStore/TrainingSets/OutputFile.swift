internal import Columnar
internal import FileFormats
internal import Storage

/// Where the rows of a training set go. `seal` and `publish` are two steps, so that of several outputs none
/// appears before all are whole.
protocol OutputSink: AnyObject {
  func write(_ batch: RecordBatch) throws
  /// Ends the output and makes it durable. Returns its files: their names, below a folder if it is one.
  func seal() throws -> [TrainingSetFile]
  /// Makes it appear under its name.
  func publish() throws
  /// Removes what was written. A failure to leaves hidden temporary files, which harm nobody.
  func abandon()
}

extension TrainingSetOutput {
  /// What the rows of a training set are written with. Checks first that nothing is in the way.
  ///
  /// - Parameter isHashed: whether the files' SHA-256 is wanted.
  func open(
    schema: Schema, replacing: Bool, isHashed: Bool, fileSystem: any FileSystem
  ) throws -> any OutputSink {
    switch self {
    case .file(let path):
      guard let format = RowFormat(path: path) else {
        throw FeatureStoreError(
          .invalidArgument,
          "the output must be \(RowFormat.endings), not '\(path)'")
      }
      return try OutputFile(
        path, format, schema: schema, replacing: replacing, isHashed: isHashed,
        fileSystem: fileSystem)
    case .folder(let path, let layout):
      return try OutputFolder(
        path, layout, schema: schema, replacing: replacing, isHashed: isHashed,
        fileSystem: fileSystem)
    case .standardOutput(let format):
      guard format.isStream else {
        throw FeatureStoreError(
          .invalidArgument, "standard output takes csv or arrow streams, not \(format)")
      }
      return OutputStream(format, schema: schema, isHashed: isHashed)
    }
  }

  /// Throws `.alreadyExists` when something else has the name, before any work is done.
  func check(replacing: Bool, fileSystem: any FileSystem) throws {
    let path: String
    switch self {
    case .standardOutput: return
    case .file(let name), .folder(let name, _): path = name
    }
    guard let found = try fileSystem.information(path) else { return }
    guard replacing else {
      throw FeatureStoreError(.alreadyExists, "'\(path)' exists; --overwrite replaces it")
    }
    if case .folder = self, found.isDirectory {
      try OutputFolder.requireReplaceable(path, fileSystem)
    } else if found.isDirectory {
      throw FeatureStoreError(.alreadyExists, "'\(path)' is a folder")
    }
  }
}

/// One file.
final class OutputFile: OutputSink {
  private let fileSystem: any FileSystem
  private let path: String
  private let temporary: String
  private let replacing: Bool
  private let writer: FormatWriter

  init(
    _ path: String, _ format: RowFormat, schema: Schema, replacing: Bool,
    isHashed: Bool, fileSystem: any FileSystem
  ) throws {
    self.fileSystem = fileSystem
    self.path = path
    self.replacing = replacing
    temporary = StoragePath.temporary(beside: path)
    writer = FormatWriter(
      try fileSystem.open(temporary, .create), format, schema: schema, isHashed: isHashed)
  }

  func write(_ batch: RecordBatch) throws { try writer.write(batch) }

  func seal() throws -> [TrainingSetFile] {
    let (size, hash) = try writer.finish()
    return [TrainingSetFile(name: path, sizeBytes: size, sha256: hash)]
  }

  func publish() throws {
    try fileSystem.rename(temporary, to: path, replacing: replacing)
    try fileSystem.synchronizeDirectory(StoragePath.directory(of: path))
  }

  func abandon() {
    do {
      try writer.close()
      try fileSystem.removeFile(temporary)
    } catch {}
  }
}

/// Standard output: what was written cannot be taken back.
private final class OutputStream: OutputSink {
  private let writer: FormatWriter

  init(_ format: RowFormat, schema: Schema, isHashed: Bool) {
    writer = FormatWriter(StandardOutput(), format, schema: schema, isHashed: isHashed)
  }

  func write(_ batch: RecordBatch) throws { try writer.write(batch) }

  func seal() throws -> [TrainingSetFile] {
    let (size, hash) = try writer.finish()
    return [TrainingSetFile(name: "-", sizeBytes: size, sha256: hash)]
  }

  func publish() {}

  func abandon() {}
}

extension StoragePath {
  /// A name for what is not finished, in the same directory, that no one else has.
  static func temporary(beside path: String, suffix: String = "tmp") -> String {
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    return join(directory(of: path), ".\(lastComponent(of: path)).\(unique).\(suffix)")
  }
}
