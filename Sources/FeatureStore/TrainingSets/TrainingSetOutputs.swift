internal import Columnar
internal import Storage

/// The outputs of one extraction: one, or one for each part of a split.
final class TrainingSetOutputs {
  private let request: TrainingSetRequest
  private let fileSystem: any FileSystem
  private let isHashed: Bool
  private let outputs: [TrainingSetOutput]
  private var sinks: [any OutputSink] = []
  private var rowCounts: [Int]
  private var files: [[TrainingSetFile]] = []

  /// Throws `.alreadyExists` for what is in the way.
  init(_ request: TrainingSetRequest, fileSystem: any FileSystem, isHashed: Bool) throws {
    self.request = request
    self.fileSystem = fileSystem
    self.isHashed = isHashed
    if let split = request.split {
      outputs = try split.names.map { try request.output.part($0) }
    } else {
      outputs = [request.output]
    }
    rowCounts = Array(repeating: 0, count: outputs.count)
    for output in outputs {
      try output.check(replacing: request.replacesOutput, fileSystem: fileSystem)
    }
  }

  deinit { for sink in sinks { sink.abandon() } }

  /// Writes all rows, durably, but not yet under the outputs' names.
  func write(_ rows: TrainingSetRows, progress: (Int64, Int64) -> Void) throws {
    let rule = try request.split.map {
      try SplitRule($0, spine: rows.spineSchema, timeColumns: rows.timeColumns)
    }
    for output in outputs {
      sinks.append(
        try output.open(
          schema: rows.schema, replacing: request.replacesOutput, isHashed: isHashed,
          fileSystem: fileSystem))
    }
    // Rows, and how much of the work is done with them.
    let ahead = SourceAhead.of { try rows.next().map { (batch: $0, doneBytes: rows.doneBytes) } }
    while let (batch, doneBytes) = try ahead.next() {
      progress(doneBytes, rows.totalBytes)
      guard let rule else {
        try sinks[0].write(batch)
        rowCounts[0] += batch.rowCount
        continue
      }
      var chosen = [[Int]](repeating: [], count: sinks.count)
      for (row, part) in try rule.parts(of: batch).enumerated() { chosen[part].append(row) }
      for (part, rows) in chosen.enumerated() where !rows.isEmpty {
        try sinks[part].write(try batch.take(rows))
        rowCounts[part] += rows.count
      }
    }
    for sink in sinks { files.append(try sink.seal()) }
    precondition(
      rowCounts.reduce(0, +) == rows.report.rowCount, "a training set has its spine's rows")
  }

  /// Makes the outputs appear; the report with what they are.
  func publish(_ report: TrainingSetReport) throws -> TrainingSetReport {
    for sink in sinks { try sink.publish() }
    sinks = []
    var report = report
    report.files = files.flatMap(\.self)
    report.sizeBytes = report.files.reduce(0) { $0 + $1.sizeBytes }
    if let split = request.split {
      report.parts = zip(split.names, rowCounts).map {
        TrainingSetReport.Part(name: $0, rowCount: $1)
      }
    }
    return report
  }

  /// The files that were written, before they are published.
  var sealedFiles: [TrainingSetFile] { files.flatMap(\.self) }
}

extension TrainingSetOutput {
  /// The output of one part of a split: `set.parquet` becomes `set-train.parquet`.
  func part(_ name: String) throws(FeatureStoreError) -> TrainingSetOutput {
    switch self {
    case .standardOutput:
      throw FeatureStoreError(
        .invalidArgument, "the parts of a split cannot share standard output")
    case .folder(let path, let layout):
      let parent = StoragePath.directory(of: path)
      let last = StoragePath.lastComponent(of: path)
      return .folder(StoragePath.join(parent, "\(last)-\(name)"), layout)
    case .file(let path):
      let parent = StoragePath.directory(of: path)
      let last = StoragePath.lastComponent(of: path)
      guard let dot = last.lastIndex(of: "."), dot > last.startIndex else {
        return .file(StoragePath.join(parent, "\(last)-\(name)"))
      }
      return .file(StoragePath.join(parent, "\(last[..<dot])-\(name)\(last[dot...])"))
    }
  }
}
