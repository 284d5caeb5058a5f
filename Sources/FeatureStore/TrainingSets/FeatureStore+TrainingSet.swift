public import Columnar
internal import FileFormats

// Training sets.
extension FeatureStore {
  /// Extracts a training set: the spine's rows in their order, its own columns untouched, and for each
  /// row what was known of its entity at its time.
  ///
  /// Memory: that of the spine's keys and times, of the values found, and of a few batches; not of the tables.
  /// The snapshots that are read stay until the end, whatever is vacuumed meanwhile. The spine is read twice.
  ///
  /// - Parameter progress: called with bytes of data files dealt with and rows written (as if each had 64 bytes), and
  ///   with how many there are in all.
  ///
  /// Throws `.notFound` for unknown views, features, columns, versions and files, `.invalidInput` when the spine
  /// cannot be read, `.alreadyExists` for an output that is there; then no output is left.
  public func extractTrainingSet(
    _ request: TrainingSetRequest, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> TrainingSetReport {
    do {
      let outputs = try TrainingSetOutputs(request, fileSystem: fileSystem, isHashed: false)
      let rows = try TrainingSetRows(request, store: self, progress: progress)
      try outputs.write(rows, progress: progress)
      rows.tables.release()
      return try outputs.publish(rows.report)
    } catch { throw FeatureStoreError(error) }
  }

  /// The same rows in memory, batch by batch; the request's output and split count for nothing.
  public func trainingSet(
    _ request: TrainingSetRequest, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> TrainingSetBatches {
    do {
      return TrainingSetBatches(try TrainingSetRows(request, store: self, progress: progress))
    } catch { throw FeatureStoreError(error) }
  }

  /// A moment in microseconds since 1970 from ISO 8601 text; without a zone it is UTC.
  public static func moment(_ text: String) throws(FeatureStoreError) -> Int64 {
    try moment(text, of: "")
  }

  /// - Parameter what: for the message; what the moment is, and a space.
  static func moment(_ text: String, of what: String) throws(FeatureStoreError) -> Int64 {
    let bytes = Array(text.utf8)
    do {
      return try TextValue.timestamp(bytes.span, unit: nil)
    } catch {
      throw FeatureStoreError(.invalidArgument, "\(what)'\(text)' \(error)", cause: error)
    }
  }
}

/// The rows of a training set. The snapshots that they are of stay until this goes.
///
/// Used by one thread at a time.
public final class TrainingSetBatches {
  private let rows: TrainingSetRows

  init(_ rows: TrainingSetRows) { self.rows = rows }

  /// The spine's columns, then the features.
  public var schema: Schema { rows.schema }

  public var report: TrainingSetReport { rows.report }

  /// The next rows, 65,536 of them but for the last ones; nil at the end.
  public func next() throws(FeatureStoreError) -> RecordBatch? {
    do { return try rows.next() } catch { throw FeatureStoreError(error) }
  }
}

extension TrainingSetRequest.TableVersion {
  /// A number is a snapshot's id, ISO 8601 text a time, and everything else the name of a tag or branch.
  public init(parsing text: String) {
    if let id = Int64(text) {
      self = .snapshot(id)
      return
    }
    do throws(FeatureStoreError) {
      self = .time(try FeatureStore.moment(text))
    } catch {
      self = .reference(text)
    }
  }
}
