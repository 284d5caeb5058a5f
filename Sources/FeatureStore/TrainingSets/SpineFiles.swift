internal import Columnar
internal import FileFormats
internal import Storage

/// The rows of files, one file after the other.
struct SpineFiles: SpineRows {
  let schema: Schema
  private let fileSystem: any FileSystem
  private let files: [SourceFile]

  private struct SourceFile {
    var path: String
    /// As it was when it was looked at first: both times it must be the same.
    var information: FileInformation
  }

  /// Looks at each file's columns; folders stand for the files in them and below, in the order of their paths, but
  /// for those whose names begin with `.` or `_`.
  ///
  /// - Parameter types: what text is read as in these columns. The types of other columns of text are found out.
  init(
    _ paths: [String], types: [String: DataType], fileSystem: any FileSystem
  ) throws {
    self.fileSystem = fileSystem
    var files: [SourceFile] = []
    var schema: Schema?
    for path in try Self.expanded(paths, fileSystem) {
      guard let information = try fileSystem.information(path) else {
        throw FeatureStoreError(.notFound, "there is no file '\(path)'")
      }
      let source = try TabularReader.open(try fileSystem.open(path, .read))
      var found = source.schema
      switch TabularFormat(path: path) {
      case .csv, .jsonLines:
        for index in found.fields.indices {
          if let type = types[found.fields[index].name] { found.fields[index].type = type }
        }
      default: break
      }
      // Every row of every file comes out.
      found.fields = found.fields.map { Field($0.name, $0.type) }
      files.append(SourceFile(path: path, information: information))
      schema = try schema.map { try Self.common($0, found, path) } ?? found
    }
    guard let schema else {
      throw FeatureStoreError(.notFound, "no file of rows in \(paths.joined(separator: ", "))")
    }
    self.schema = schema
    self.files = files
  }

  func rows(_ columns: Schema?) throws -> () throws -> RecordBatch? {
    let options = TabularOptions(schema: columns ?? schema)
    var rest = files[...]
    var current: (source: any TabularSource, path: String)?
    return {
      while true {
        if let (source, path) = current {
          if let batch = try source.next() { return try batch.whole(of: "the spine '\(path)'") }
          current = nil
        }
        guard let file = rest.popFirst() else { return nil }
        guard try fileSystem.information(file.path) == file.information else {
          throw FeatureStoreError(
            .conflict, "the spine '\(file.path)' was changed while it was being read")
        }
        current = (
          try TabularReader.open(try fileSystem.open(file.path, .read), options: options), file.path
        )
      }
    }
  }

  /// The files, and those of the folders.
  static func expanded(
    _ paths: [String], _ fileSystem: any FileSystem
  ) throws -> [String] {
    var files: [String] = []
    for path in paths {
      guard try fileSystem.information(path)?.isDirectory == true else {
        files.append(path)
        continue
      }
      var folders = [path]
      var found: [String] = []
      while let folder = folders.popLast() {
        for name in try fileSystem.contentsOfDirectory(folder)
        where !name.hasPrefix(".") && !name.hasPrefix("_") {
          let path = StoragePath.join(folder, name)
          if try fileSystem.information(path)?.isDirectory == true {
            folders.append(path)
          } else if TabularFormat(path: path) != nil {
            found.append(path)
          }
        }
      }
      files += found.sorted()
    }
    return files
  }

  /// The schema of both: the first one's columns, in its order. Numbers that are whole in one file and not in the
  /// other are what both can be.
  private static func common(_ first: Schema, _ other: Schema, _ path: String) throws -> Schema {
    var schema = first
    for (index, field) in first.fields.enumerated() {
      guard let found = other.fields.first(where: { $0.name == field.name }) else {
        throw FeatureStoreError(
          .invalidInput, "the spine '\(path)' lacks the column '\(field.name)' of the first file")
      }
      guard let type = common(field.type, found.type) else {
        throw FeatureStoreError(
          .invalidInput,
          "the spine's column '\(field.name)' is \(found.type) in '\(path)', and \(field.type) before"
        )
      }
      schema.fields[index].type = type
    }
    for field in other.fields where first.index(of: field.name) == nil {
      throw FeatureStoreError(
        .invalidInput,
        "the spine '\(path)' has a column '\(field.name)', which the first file lacks")
    }
    return schema
  }

  private static func common(_ first: DataType, _ other: DataType) -> DataType? {
    switch (first, other) {
    case (.int64, .int32), (.int32, .int64): .int64
    case (.float64, .float32), (.float32, .float64), (.float64, .int64), (.int64, .float64),
      (.float64, .int32), (.int32, .float64):
      .float64
    default: first == other ? first : nil
    }
  }
}
