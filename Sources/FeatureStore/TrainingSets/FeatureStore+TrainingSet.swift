internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import PointInTime
internal import Storage

// Training sets.
extension FeatureStore {
  /// Extracts a training set: the spine's rows in their order, its own columns untouched, and for each
  /// row what was known of its entity at its time.
  ///
  /// - Parameter progress: called with bytes of data files dealt with, and in all.
  ///
  /// Throws `.notFound` for unknown views, features, columns and files, `.invalidInput` when the spine
  /// cannot be read; then no output is left.
  public func extractTrainingSet(
    _ request: TrainingSetRequest, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> TrainingSetReport {
    do {
      return try TrainingSetExtraction(store: self, request: request).run(progress)
    } catch { throw FeatureStoreError(error) }
  }
}

/// One extraction: reads the spine, asks each group, writes the output.
private struct TrainingSetExtraction {
  let store: FeatureStore
  let request: TrainingSetRequest

  /// Rows of the output assembled at a time.
  private static let outputBatchRows = 65_536

  func run(_ progress: (Int64, Int64) -> Void) throws -> TrainingSetReport {
    let references = try self.references()
    let groups = try groups(of: references)
    try checkOutput()
    let spine = try readSpine(groups)
    try checkNames(spine.schema, references)
    let times = try column(request.timeColumn, of: spine, role: "the time column")
    var report = TrainingSetReport(rowCount: spine.rowCount)
    let asOf = try request.asOf.map { try store.microseconds($0, name: "--as-of") }
    var all: [String: Winners] = [:]
    let extractions = try groups.map { group in
      var options = GroupExtraction.Options(
        version: asOf.map { .asOf(milliseconds: $0 / 1000) } ?? .current)
      options.visibility = request.visibility == .event ? .event : .ingested
      return GroupExtraction(
        group: group, references: references.filter { $0.group == group.name },
        table: try store.tables.load(group), options: options)
    }
    let total = extractions.reduce(Int64(0)) { $0 + $1.sizeBytes }
    var done: Int64 = 0
    var spines: [[String]: Spine] = [:]
    for extraction in extractions {
      let names = extraction.group.recordIdentifiers.map { request.keyColumns[$0.name] ?? $0.name }
      // Groups with the same key share one spine.
      let grouped =
        try spines[names]
        ?? Spine(keys: try names.map { try column($0, of: spine, role: "the key") }, times: times)
      spines[names] = grouped
      let (winners, groupReport) = try extraction.run(spine: grouped) { bytes in
        done += bytes
        progress(done, max(total, done))
      }
      all[extraction.group.name] = winners
      report.groups.append(groupReport)
    }
    report.columnCount = spine.schema.fields.count + references.count
    report.sizeBytes = try write(spine, references, all)
    return report
  }

  // MARK: What is asked for

  private func references() throws -> [FeatureReference] {
    if let name = request.view { return try store.view(name).features }
    let references = try store.featureReferences(request.features)
    _ = try FeatureView(name: "training_set", features: references)
    return references
  }

  private func groups(of references: [FeatureReference]) throws -> [FeatureGroup] {
    var seen: Set<String> = []
    return try references.filter { seen.insert($0.group).inserted }
      .map { try store.group($0.group) }
  }

  private func checkOutput() throws {
    if !request.replacesOutput, try store.fileSystem.information(request.outputFile) != nil {
      throw FeatureStoreError(
        .alreadyExists, "'\(request.outputFile)' exists; --overwrite replaces it")
    }
    guard OutputFormat(request.outputFile) != nil else {
      throw FeatureStoreError(
        .invalidArgument, "the output must be .parquet or .csv, not '\(request.outputFile)'")
    }
  }

  private func checkNames(_ spine: Schema, _ references: [FeatureReference]) throws {
    let own = Set(spine.fields.map { $0.name.lowercased() })
    for reference in references where own.contains(reference.outputName.lowercased()) {
      throw FeatureStoreError(
        .invalidArgument,
        "the spine has a column '\(reference.outputName)' already: rename the feature, "
          + "\(reference)=another_name")
    }
  }

  // MARK: The spine

  /// The whole spine, its key columns of the identifiers' types and its times as microseconds.
  private func readSpine(_ groups: [FeatureGroup]) throws -> RecordBatch {
    var types = [request.timeColumn: DataType.timestamp(isUTC: true)]
    for identifier in groups.flatMap(\.recordIdentifiers) {
      let name = request.keyColumns[identifier.name] ?? identifier.name
      let type = identifier.type.dataType
      guard types[name] == nil || types[name] == type else {
        throw FeatureStoreError(
          .invalidArgument,
          "the spine's column '\(name)' would have to be \(types[name] ?? type) and \(type)")
      }
      types[name] = type
    }
    return try SpineReader(
      fileSystem: store.fileSystem, path: request.spineFile, types: types
    ).read()
  }

  private func column(_ name: String, of spine: RecordBatch, role: String) throws -> Column {
    guard let column = spine.column(named: name) else {
      throw Registry.unknown(
        "spine column for \(role)", name, among: spine.schema.fields.map(\.name))
    }
    return column
  }

  // MARK: The output

  /// Writes spine and features batch by batch; the file appears under its name only when it is whole.
  private func write(
    _ spine: RecordBatch, _ references: [FeatureReference], _ winners: [String: Winners]
  ) throws -> Int64 {
    var fields = spine.schema.fields
    for reference in references {
      let group = try store.group(reference.group)
      let feature = group.features[try group.featureIndex(reference.feature)]
      fields.append(Field(reference.outputName, feature.type.dataType))
    }
    let schema = Schema(fields)
    let sink = try OutputFile(
      fileSystem: store.fileSystem, path: request.outputFile, schema: schema,
      replacing: request.replacesOutput)
    do {
      var row = 0
      repeat {
        let rows = row..<min(row + Self.outputBatchRows, spine.rowCount)
        var byGroup: [String: [Column]] = [:]
        for (name, group) in winners { byGroup[name] = try group.columns(rows: rows) }
        var columns = spine.slice(rows).columns
        var used: [String: Int] = [:]
        for reference in references {
          guard let column = byGroup[reference.group]?[used[reference.group, default: 0]] else {
            preconditionFailure("every reference has a column")
          }
          columns.append(column)
          used[reference.group, default: 0] += 1
        }
        try sink.write(RecordBatch(schema: schema, columns: columns, rowCount: rows.count))
        row = rows.upperBound
      } while row < spine.rowCount
      return try sink.finish()
    } catch {
      sink.abandon()
      throw error
    }
  }
}

extension GroupExtraction {
  /// Bytes of the table's data files, for progress.
  var sizeBytes: Int64 {
    table.metadata.currentSnapshot?.summary["total-files-size"].flatMap { Int64($0) } ?? 0
  }
}
