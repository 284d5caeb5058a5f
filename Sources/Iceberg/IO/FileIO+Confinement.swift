// Where the files of a table may be, when nobody has said more.
extension FileIO {
  /// What a table's files are read and written through: allowed roots that were given are all that count.
  /// Without any a table has the warehouse and its own folder, and what else its catalog was told of.
  ///
  /// A table's own folder is its `location` only where the metadata file lies there too: that file's place
  /// is the catalog's word, `location` anybody's.
  package func confined(
    to folders: [String], metadataLocation: String, location: String
  ) throws(IcebergError) -> FileIO {
    guard allowedRoots == nil else { return self }
    var roots: [String] = []
    for folder in folders + [FileIO.ownFolder(metadataLocation, location)].compactMap({ $0 }) {
      do { roots.append(try Location.comparable(folder)) } catch {
        // What is on another file system needs no local folder, and gets none.
        guard error.kind == .unsupported else { throw error }
      }
    }
    return try FileIO(fileSystem: fileSystem, allowedRoots: roots)
  }

  private static func ownFolder(_ metadataLocation: String, _ location: String) -> String? {
    do {
      let folder = Location.parent(
        of: Location.parent(of: try Location.comparable(metadataLocation)))
      guard folder != "/", try Location.comparable(location) == folder else { return nil }
      return folder
    } catch { return nil }
  }
}
