internal import Columnar
internal import FileFormats
internal import Storage

/// The rows of a spine: read once for their keys and times, and once more while the output is written, so that
/// nothing else of them is held. Both times they are the same, in the same order.
protocol SpineRows {
  /// All columns, as the output has them.
  var schema: Schema { get }

  /// Goes through the rows: only these columns, in this order and of these types, or all.
  ///
  /// The columns hold no more memory than they need. Throws `.invalidInput` for a row that does not fit: one left
  /// out would break the promise that rows out are rows in.
  func rows(_ columns: Schema?) throws -> () throws -> RecordBatch?
}

extension SpineRows {
  /// Throws `.notFound` for a column that the spine does not have.
  func require(_ name: String, role: String) throws(FeatureStoreError) {
    guard schema.index(of: name) == nil else { return }
    throw Registry.unknown("spine column for \(role)", name, among: schema.fields.map(\.name))
  }
}

/// Rows that are in memory.
struct SpineBatches: SpineRows {
  let schema: Schema
  private let batches: [RecordBatch]

  init(_ batches: [RecordBatch]) throws(FeatureStoreError) {
    guard let first = batches.first else {
      throw FeatureStoreError(
        .invalidInput, "a spine needs at least one batch, which may have no rows")
    }
    for (index, batch) in batches.enumerated() where batch.schema != first.schema {
      throw FeatureStoreError(
        .invalidInput, "batch \(index) of the spine has other columns than the first one")
    }
    schema = first.schema
    self.batches = batches
  }

  func rows(_ columns: Schema?) throws -> () throws -> RecordBatch? {
    let options = TabularOptions(schema: columns)
    let source = try TabularReader.open(batches, schema: schema, options: options)
    return { try source.next()?.whole(of: "the spine") }
  }
}

extension TabularBatch {
  /// The batch, if no row was refused.
  func whole(of path: String) throws(FeatureStoreError) -> RecordBatch {
    guard let error = errors.first else { return batch }
    throw FeatureStoreError(.invalidInput, "\(path), \(error)")
  }
}
