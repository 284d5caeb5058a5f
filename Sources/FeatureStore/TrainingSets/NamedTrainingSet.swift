public import FeatureModel
internal import Storage

/// A training set with a name: what it was made of, and what came out. Its snapshots are tagged in the tables, and
/// the rows of its spine are kept, so that it can be made again.
public struct NamedTrainingSet: Sendable {
  public var name: String
  /// Microseconds since 1970.
  public var createdMicroseconds: Int64
  /// The version of fstore that made it: another may write the same rows as other bytes.
  public var madeBy: String
  /// False when making it was interrupted, or goes on: it can only be deleted, or made anew.
  public var isComplete: Bool
  /// The request, its features looked up.
  public var request: TrainingSetRequest
  /// What the features were when it was made, whatever becomes of the view.
  public var features: [FeatureReference]
  /// The snapshot of each group's table; nil for a table that had none.
  public var snapshots: [String: Int64?]
  public var rowCount: Int
  public var columnCount: Int
  public var files: [TrainingSetFile]

  /// The tag that keeps a snapshot of a training set.
  public static func tag(_ name: String) -> String { "fstore.training-set.\(name)" }

  /// Of one file its SHA-256; of several the SHA-256 of what `sha256sum` prints for them.
  public var sha256: String? {
    if files.count == 1 { return files[0].sha256 }
    var hash = SHA256()
    for file in files {
      guard let digest = file.sha256 else { return nil }
      hash.update(Array("\(digest)  \(file.name)\n".utf8).rawSpan)
    }
    return files.isEmpty ? nil : hash.hexadecimal
  }

  /// The one file that it was written to; nil for folders, splits and standard output.
  public var outputFile: String? {
    if request.split == nil, case .file(let path) = request.output { path } else { nil }
  }

  func requireComplete() throws(FeatureStoreError) {
    guard isComplete else {
      throw FeatureStoreError(
        .conflict, "making the training set '\(name)' was interrupted, or goes on: create it anew")
    }
  }
}
