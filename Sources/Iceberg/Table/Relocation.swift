import Avro
import JSON

/// Moves a table to another folder: rewrites the places of files in its metadata, which records them as
/// absolute locations. Data files stay as they are.
///
/// Manifests come first, then the manifest lists, which record the manifests' sizes, then the metadata file.
public struct Relocation: Sendable {
  /// Absolute paths of folders, as `Location.comparable` gives them.
  private let oldFolder: String
  private let newFolder: String
  /// Sizes of rewritten manifests by their new paths.
  private var manifestSizes: [String: Int64] = [:]

  public init(from oldFolder: String, to newFolder: String) throws(IcebergError) {
    self.oldFolder = try Location.comparable(oldFolder)
    self.newFolder = try Location.comparable(newFolder)
  }

  /// The new location of a file, spelled as the old one; what is not below the old folder stays.
  public func location(_ location: String) -> String {
    for prefix in ["file://localhost", "file://", "file:", ""] {
      let old = prefix + oldFolder
      if location == old || location.utf8.starts(with: (old + "/").utf8) {
        return prefix + newFolder
          + String(decoding: location.utf8.dropFirst(old.utf8.count), as: UTF8.self)
      }
    }
    do {
      let path = try Location.comparable(location)
      guard path.utf8.starts(with: (oldFolder + "/").utf8) else { return location }
      return Location.location(
        ofPath: newFolder
          + String(decoding: path.utf8.dropFirst(oldFolder.utf8.count), as: UTF8.self))
    } catch { return location }
  }

  /// A metadata file with its new places. The log of earlier metadata files is emptied: a copy has none of
  /// them.
  public func metadata(_ bytes: [UInt8]) throws(IcebergError) -> [UInt8] {
    var members = try members(bytes)
    if members["metadata-log"] != nil { members["metadata-log"] = [] }
    // What moved is another text; who publishes it gives it a checksum.
    members[FileChecksum.key] = nil
    var result = JSONValue.object(members).utf8()
    MetadataChecksum.seal(&result)
    _ = try TableMetadata(fileContent: result)
    return result
  }

  /// A view's metadata file with its new places.
  public func viewMetadata(_ bytes: [UInt8]) throws(IcebergError) -> [UInt8] {
    JSONValue.object(try members(bytes)).utf8()
  }

  private func members(_ bytes: [UInt8]) throws(IcebergError) -> JSONObject {
    let text =
      Gzip.isGzip(bytes)
      ? try Gzip.decompress(bytes, maximumSizeBytes: TableMetadata.maximumSizeBytes) : bytes
    let json: JSONValue
    do { json = try JSONValue(parsing: text) } catch {
      throw IcebergError(.invalidMetadata, "table metadata: \(error.description)")
    }
    guard case .object(let members) = moved(json) else {
      throw IcebergError(.invalidMetadata, "table metadata is no JSON object")
    }
    return members
  }

  private func moved(_ json: JSONValue) -> JSONValue {
    switch json {
    case .string(let text): .string(location(text))
    case .array(let elements): .array(elements.map { moved($0) })
    case .object(let members):
      .object(JSONObject(zip(members.keys, members.values.map { moved($0) })))
    default: json
    }
  }

  /// A manifest with its new places.
  ///
  /// - Parameter path: where it will be.
  public mutating func manifest(_ bytes: [UInt8], at path: String) throws(IcebergError) -> [UInt8] {
    let result = try rewrite(bytes) { name, schema, value throws(IcebergError) in
      guard name == "data_file", case .record(_, let fields) = schema.shape,
        case .record(let values) = value
      else { return value }
      try refusePositionDeletes(fields, values)
      return .record(
        zip(fields, values).map { field, value in
          ["file_path", "referenced_data_file"].contains(field.name) ? movedText(value) : value
        })
    }
    manifestSizes[path] = Int64(result.count)
    return result
  }

  /// The rows of a position delete file name data files too.
  private func refusePositionDeletes(
    _ fields: [AvroField], _ values: [AvroValue]
  ) throws(IcebergError) {
    var (content, format, path): (Int32, String, String) = (0, "", "")
    for (field, value) in zip(fields, values) {
      switch (field.name, value) {
      case ("content", .int(let number)): content = number
      case ("file_format", .string(let text)): format = text.lowercased()
      case ("file_path", .string(let text)): path = text
      default: break
      }
    }
    guard content != FileContent.positionDeletes.rawValue || format == "puffin" else {
      throw IcebergError(
        .unsupported,
        "'\(path)' names the files of deleted rows by their places: this table can only be put back in "
          + "'\(oldFolder)'; compact it before the next backup (fstore optimize)")
    }
  }

  /// A manifest list with its new places, and the sizes of its manifests.
  public func manifestList(_ bytes: [UInt8]) throws(IcebergError) -> [UInt8] {
    var path: String?
    return try rewrite(bytes) { name, _, value throws(IcebergError) in
      switch (name, value) {
      case ("manifest_path", .string(let text)):
        let moved = location(text)
        path = try Location.comparable(moved)
        return .string(moved)
      case ("manifest_length", .long):
        guard let known = path, let size = manifestSizes[known] else {
          throw IcebergError(
            .invalidMetadata, "a manifest list speaks of a manifest that is not in the copy")
        }
        return .long(size)
      default: return value
      }
    }
  }

  private func movedText(_ value: AvroValue) -> AvroValue {
    switch value {
    case .string(let text): .string(location(text))
    case .union(let branch, let inner): .union(branch, movedText(inner))
    default: value
    }
  }

  /// Rewrites the top-level fields of each record; all else in the file stays, known to us or not.
  private func rewrite(
    _ bytes: [UInt8],
    _ change: (String, AvroSchema, AvroValue) throws(IcebergError) -> AvroValue
  ) throws(IcebergError) -> [UInt8] {
    do {
      var reader = try AvroFileReader(bytes)
      guard case .record(_, let fields) = reader.schema.shape else {
        throw AvroError("the objects are no records")
      }
      var writer = AvroFileWriter(codec: reader.codec)
      while var (count, decoder) = try reader.nextBlock() {
        while count > 0 {
          var values: [AvroValue] = []
          for field in fields {
            values.append(try change(field.name, field.schema, try decoder.readValue(field.schema)))
          }
          writer.append { $0.writeValue(.record(values)) }
          try writer.closeFullBlock()
          count -= 1
        }
      }
      var metadata: [(key: String, value: String)] = []
      for key in reader.places.keys.sorted() where !key.hasPrefix("avro.") {
        metadata.append(
          (key, key == FileChecksum.key ? AvroChecksum.entry.value : reader.text(key) ?? ""))
      }
      return try AvroChecksum.seal(try writer.finish(schema: reader.schema, metadata: metadata))
    } catch let error as AvroError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error
    } catch { throw IcebergError(.invalidMetadata, "\(error)") }
  }
}
