public import JSON

/// A live data file as the planner sees it.
public struct RewriteCandidate: Hashable, Sendable {
  public var path: String
  public var sizeBytes: Int64
  public var recordCount: Int64
  public var specID: Int32
  public var partition: [Literal?]
  /// How many delete files apply to it.
  public var deleteFileCount: Int
  /// Rows deleted by delete files that name this file and no other.
  public var fileScopedDeletedRecordCount: Int64

  public init(
    path: String, sizeBytes: Int64, recordCount: Int64, specID: Int32 = 0,
    partition: [Literal?] = [], deleteFileCount: Int = 0, fileScopedDeletedRecordCount: Int64 = 0
  ) {
    self.path = path
    self.sizeBytes = sizeBytes
    self.recordCount = recordCount
    self.specID = specID
    self.partition = partition
    self.deleteFileCount = deleteFileCount
    self.fileScopedDeletedRecordCount = fileScopedDeletedRecordCount
  }
}

/// Files that are rewritten together.
public struct RewriteFileGroup: Hashable, Sendable {
  public var files: [RewriteCandidate]
  /// The partition of the output spec; empty for files that were written with another spec.
  public var partition: [Literal?]
  public var expectedOutputFiles: Int64
  /// How much input goes into one output file.
  public var inputSplitSizeBytes: Int64
  /// A file may grow to this, so that no tiny remainder is left over.
  public var maxOutputFileSizeBytes: Int64

  public var sizeBytes: Int64 { files.reduce(0) { $0.addingSaturated($1.sizeBytes) } }
  public var recordCount: Int64 { files.reduce(0) { $0.addingSaturated($1.recordCount) } }
}

/// Which files are to be rewritten, in which groups, and why the others are not: a value, which is
/// what a dry run prints and what `RewriteDataFiles.execute` does.
public struct RewriteFilePlan: Hashable, Sendable {
  public enum SkipReason: String, Hashable, Sendable, CaseIterable {
    /// Its size is within the limits, and few of its rows are deleted.
    case wellSized = "well-sized"
    /// Too few files, too little to gain: the group stays.
    case tooFewInputFiles = "too-few-input-files"
    /// Beyond `max-files-to-rewrite`: another run takes it.
    case overLimit = "over-limit"
  }

  public struct Skipped: Hashable, Sendable {
    public var file: RewriteCandidate
    public var reason: SkipReason
  }

  public var groups: [RewriteFileGroup]
  public var skipped: [Skipped]
  /// Whether there are files behind the last candidate, which were not looked at.
  public var isCut = false
  public var candidateCount: Int
  public var candidateBytes: Int64

  public var fileCount: Int { groups.reduce(0) { $0 + $1.files.count } }
  public var sizeBytes: Int64 { groups.reduce(0) { $0.addingSaturated($1.sizeBytes) } }
  public var isEmpty: Bool { groups.isEmpty }

  /// Whether another run would find more to do.
  public var moreRunsNeeded: Bool { isCut || skipped.contains { $0.reason == .overLimit } }

  /// The plan for a dry run: counts, groups with their files, and skipped files counted by reason.
  public var json: JSONValue {
    var object = JSONObject()
    object["candidate-files"] = .integer(Int64(candidateCount))
    object["candidate-bytes"] = .integer(candidateBytes)
    object["rewritten-files"] = .integer(Int64(fileCount))
    object["rewritten-bytes"] = .integer(sizeBytes)
    object["more-runs-needed"] = .bool(moreRunsNeeded)
    var reasons = JSONObject()
    for reason in SkipReason.allCases {
      let files = skipped.filter { $0.reason == reason }
      var counts = JSONObject()
      counts["files"] = .integer(Int64(files.count))
      counts["bytes"] = .integer(files.reduce(0) { $0.addingSaturated($1.file.sizeBytes) })
      reasons[reason.rawValue] = .object(counts)
    }
    object["skipped"] = .object(reasons)
    object["groups"] = .array(groups.map(\.json))
    return .object(object)
  }
}

extension RewriteFileGroup {
  fileprivate var json: JSONValue {
    var object = JSONObject()
    object["files"] = .integer(Int64(files.count))
    object["bytes"] = .integer(sizeBytes)
    object["rows"] = .integer(recordCount)
    object["expected-output-files"] = .integer(expectedOutputFiles)
    object["paths"] = .array(files.map { .string($0.path) })
    return .object(object)
  }
}

extension RewriteFilePlan: CustomStringConvertible {
  /// One line to read.
  public var description: String {
    let outputs = groups.reduce(Int64(0)) { $0.addingSaturated($1.expectedOutputFiles) }
    var text =
      "\(isCut ? "the first " : "")\(candidateCount) candidate files (\(candidateBytes) bytes); "
      + "\(fileCount) to rewrite in \(groups.count) groups into about \(outputs) files"
    for reason in SkipReason.allCases {
      let count = skipped.count { $0.reason == reason }
      if count > 0 { text += "; \(count) skipped: \(reason.rawValue)" }
    }
    return text
  }
}

extension Int64 {
  /// A sum that stays at the end where it would overflow: sizes come from files that others wrote.
  func addingSaturated(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }
}
