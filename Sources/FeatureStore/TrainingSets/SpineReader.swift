internal import Columnar
internal import FileFormats
internal import Storage

/// Reads a whole spine into memory: its size is what an extraction's memory is measured by anyway.
struct SpineReader {
  let fileSystem: any FileSystem
  let path: String
  /// The types that key and time columns must have; the others are found from the file.
  let types: [String: DataType]

  func read() throws -> RecordBatch {
    let found = try open(TabularOptions())
    var schema = found.schema
    for index in schema.fields.indices {
      if let type = types[schema.fields[index].name] { schema.fields[index].type = type }
    }
    let source = try open(TabularOptions(schema: schema))
    var batches: [RecordBatch] = []
    while let batch = try source.next() {
      if let error = batch.errors.first {
        // A row left out would break the promise that rows out are rows in.
        throw FeatureStoreError(.invalidInput, "the spine '\(path)', \(error)")
      }
      batches.append(batch.batch)
    }
    guard !batches.isEmpty else {
      let columns = schema.fields.map { Column.empty($0.type) }
      return RecordBatch(schema: source.schema, columns: columns, rowCount: 0)
    }
    return try RecordBatch.concatenate(batches, schema: source.schema)
  }

  private func open(_ options: TabularOptions) throws -> any TabularSource {
    guard try fileSystem.information(path) != nil else {
      throw FeatureStoreError(.notFound, "there is no file '\(path)'")
    }
    return try TabularReader.open(try fileSystem.open(path, .read), options: options)
  }
}
