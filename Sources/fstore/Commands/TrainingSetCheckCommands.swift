internal import FeatureModel
internal import FeatureStore
internal import Iceberg
internal import JSON

// Training sets that are there already.
extension Command {
  /// What says which features a training set has, and which records count.
  private static let definitionOptions =
    trainingSetOptions.filter {
      [
        "--time", "--time-of", "--view", "--feature", "--key", "--visibility", "--strict",
        "--exclude-late", "--data-delay", "--as-of",
      ].contains($0.name)
    } + [CommandSyntax.flag("--include-unflushed", "also what the log has and the tables lack")]

  private static let checkSyntax = CommandSyntax(
    positionals: [
      .init(
        name: "FILE", help: "the training set: .parquet, .arrow, .csv; its output with --set",
        isRequired: false)
    ],
    options: [
      CommandSyntax.option(
        "--set", "NAME", "a training set with a name: its features, options and snapshots")
    ] + definitionOptions)

  /// What a training set that is there was made of.
  private enum Definition {
    case request(TrainingSetRequest)
    case named(String)

    init(_ arguments: Arguments) throws {
      guard let name = arguments.value("--set") else {
        guard let file = arguments.positionals.first else {
          throw UsageError(message: "either FILE or --set NAME is needed")
        }
        var request = try trainingSetRequest(arguments, ofFile: file)
        request.includesUnflushed = arguments.has("--include-unflushed")
        self = .request(request)
        return
      }
      if let option = definitionOptions.first(where: { option in
        option.placeholder == nil
          ? arguments.has(option.name) : arguments.value(option.name) != nil
      }) {
        throw UsageError(message: "\(option.name) is what --set says already")
      }
      self = .named(name)
    }

    var access: FeatureStore.Access {
      if case .request(let request) = self, request.includesUnflushed {
        .readOnly
      } else {
        .offline
      }
    }
  }

  /// The file that is meant.
  private static func file(
    of set: NamedTrainingSet, _ arguments: Arguments
  ) throws(UsageError) -> String {
    guard let file = arguments.positionals.first ?? set.outputFile else {
      throw UsageError(
        message: "FILE is needed: the training set '\(set.name)' was not written to one file")
    }
    return file
  }

  static let trainingSetExplain = Command(
    name: "training-set explain", summary: "say why the cells of a training set are what they are",
    discussion: """
      Which record won (event time, write time, LSN, file, snapshot), which lost and why; or why there is null:
      never written, only later, arrived late, expired, deleted. Rows are counted from 0. Times, features and
      visibility are those that the file was extracted with; those of a training set with a name are known. Examples:

        fstore training-set explain set.parquet --row 17 --time scheduled_departure --view flight \\
          --column last_delay
        fstore training-set explain --set january --row 17
      """,
    syntax: CommandSyntax(
      positionals: checkSyntax.positionals,
      options: [
        CommandSyntax.option("--row", "N", "which row, counted from 0"),
        CommandSyntax.option("--column", "NAME", "only this column, or GROUP:FEATURE"),
        CommandSyntax.option("--last", "N", "list so many records of the key at most; 20"),
      ] + checkSyntax.options)
  ) { context in
    let arguments = context.arguments
    guard let row = try arguments.integer("--row").map({ Int(clamping: $0) }) else {
      throw UsageError(message: "--row is needed")
    }
    let limit = try arguments.integer("--last", minimum: 1).map { Int(clamping: $0) } ?? 20
    let definition = try Definition(arguments)
    let column = arguments.value("--column")
    let cells = try context.withStore(definition.access) { store in
      switch definition {
      case .request(let request):
        return try store.explainTrainingSet(
          arguments.positionals[0], row: row, of: request, column: column)
      case .named(let name):
        let set = try store.trainingSet(named: name)
        return try store.explainTrainingSet(
          file(of: set, arguments), row: row, of: set, column: column)
      }
    }
    context.output.print(.array(cells.map { json($0, limit) })) {
      cells.map { text($0, limit) }.joined(separator: "\n\n")
    }
    return .success
  }

  static let trainingSetAudit = Command(
    name: "training-set audit", summary: "check a training set against the tables",
    discussion: """
      Every cell is compared with what the tables say. Of those that differ each is named (the first 1000), and
      whether it knows the future (its value is that of a later event), knows what came late (it was written later,
      where that does not count), is outdated, missing, or no record's value. How many rows use, rightly, a value
      that was written after their own time is said too. The status is 65 if a cell differs. Examples:

        fstore training-set audit set.parquet --time scheduled_departure --view flight
        fstore training-set audit --set january
      """,
    syntax: checkSyntax
  ) { context in
    let arguments = context.arguments
    let definition = try Definition(arguments)
    let bar = ProgressBar("auditing")
    let audit = try context.withStore(definition.access) { store in
      defer { bar.finish() }
      func update(_ done: Int64, _ total: Int64) {
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
      switch definition {
      case .request(let request):
        return try store.auditTrainingSet(
          arguments.positionals[0], of: request, progress: update)
      case .named(let name):
        let set = try store.trainingSet(named: name)
        return try store.auditTrainingSet(
          file(of: set, arguments), of: set, progress: update)
      }
    }
    context.output.print(json(audit)) {
      let counts = TrainingSetAudit.Finding.allCases.compactMap { finding in
        let count = audit.cells.count { $0.finding == finding }
        return count > 0 ? "\(countText(count)) \(finding.rawValue)" : nil
      }
      let later = audit.writtenLaterCounts.filter { $0.rowCount > 0 }.map {
        "\n\(countText($0.rowCount)) rows have a value of '\($0.group)' that was written after their time"
      }
      return
        "\(countText(audit.rowCount)) rows x \(audit.columnCount) features: "
        + (audit.differingCount == 0
          ? "all as the tables say"
          : "\(countText(audit.differingCount)) "
            + "cells are not as the tables say: \(counts.joined(separator: ", "))")
        + later.joined()
    }
    for cell in audit.cells {
      let moment = cell.moment.map { CivilTime.text(microseconds: $0) } ?? "no time"
      let event = cell.eventTime.map { " (event of \(CivilTime.text(microseconds: $0)))" } ?? ""
      Output.error(
        "row \(cell.row), \(cell.column) at \(moment): \(cell.finding.rawValue): has "
          + "\(cell.value.json(cell.type).text())\(event), not \(cell.expected.json(cell.type).text())"
      )
    }
    return audit.differingCount == 0 ? .success : .data
  }

  // MARK: Text

  private static func text(_ cell: CellExplanation, _ limit: Int) -> String {
    func value(_ value: FeatureValue) -> String {
      let json = value.json(cell.type)
      return json.stringValue ?? json.text()
    }
    let moment = cell.moment.map { CivilTime.text(microseconds: $0) } ?? "no time"
    var lines = [
      "\(cell.column) (\(cell.group):\(cell.feature)) at \(moment): \(value(cell.value)), "
        + cell.outcome.rawValue
    ]
    if let own = cell.fileValue, own != cell.value {
      lines.append("the file has \(value(own)) instead")
    }
    guard !cell.records.isEmpty else { return lines.joined(separator: "\n") }
    var table = TextTable([
      ("", .left), ("event time", .left), ("write time", .left), ("lsn", .right), ("value", .right),
      ("expires", .left), ("snapshot", .right), ("file", .left),
    ])
    let shown = listed(cell, limit)
    for (record, standing) in shown {
      let own = record.isDeleted ? "deleted" : featureValue(cell, record).map(value) ?? ""
      table.rows.append([
        standing.rawValue, CivilTime.text(microseconds: record.eventTime),
        record.writeTime.map { CivilTime.text(microseconds: $0) } ?? "", "\(record.lsn)", own,
        record.expiresAt.map { CivilTime.text(microseconds: $0) } ?? "",
        record.snapshotID.map { "\($0)" } ?? "", record.file ?? "not flushed",
      ])
    }
    lines.append(table.text())
    let rest = cell.records.count - shown.count
    if rest > 0 { lines.append("and \(countText(rest)) more records") }
    return lines.joined(separator: "\n")
  }

  /// The winner and its neighbours.
  private static func listed(
    _ cell: CellExplanation, _ limit: Int
  ) -> ArraySlice<(record: HistoryRecord, standing: CellExplanation.Standing)> {
    let winner = cell.records.firstIndex { $0.standing == .won } ?? 0
    let first = max(0, min(winner - limit / 2, cell.records.count - limit))
    return cell.records[first..<min(cell.records.count, first + limit)]
  }

  private static func featureValue(
    _ cell: CellExplanation, _ record: HistoryRecord
  ) -> FeatureValue? {
    record.values.indices.contains(cell.featureIndex) ? record.values[cell.featureIndex] : nil
  }

  // MARK: JSON

  private static func time(_ microseconds: Int64?) -> JSONValue {
    microseconds.map { .string(CivilTime.text(microseconds: $0)) } ?? .null
  }

  private static func json(_ cell: CellExplanation, _ limit: Int) -> JSONValue {
    [
      "column": .string(cell.column), "group": .string(cell.group),
      "feature": .string(cell.feature), "moment": time(cell.moment),
      "outcome": .string(cell.outcome.rawValue), "value": cell.value.json(cell.type),
      "file_value": cell.fileValue?.json(cell.type) ?? .null,
      "record_count": .integer(Int64(cell.records.count)),
      "records": .array(
        listed(cell, limit).map { record, standing in
          [
            "standing": .string(standing.rawValue), "event_time": time(record.eventTime),
            "write_time": time(record.writeTime), "lsn": .integer(record.lsn),
            "deleted": .bool(record.isDeleted), "expires_at": time(record.expiresAt),
            "value": featureValue(cell, record)?.json(cell.type) ?? .null,
            "file": record.file.map { .string($0) } ?? .null,
            "snapshot_id": record.snapshotID.map { .integer($0) } ?? .null,
          ]
        }),
    ]
  }

  private static func json(_ audit: TrainingSetAudit) -> JSONValue {
    [
      "rows": .integer(Int64(audit.rowCount)), "features": .integer(Int64(audit.columnCount)),
      "differing_cells": .integer(Int64(audit.differingCount)),
      "written_later": .array(
        audit.writtenLaterCounts.map {
          ["group": .string($0.group), "rows": .integer(Int64($0.rowCount))]
        }),
      "cells": .array(
        audit.cells.map { cell in
          [
            "row": .integer(Int64(cell.row)), "column": .string(cell.column),
            "moment": time(cell.moment), "value": cell.value.json(cell.type),
            "expected": cell.expected.json(cell.type), "finding": .string(cell.finding.rawValue),
            "event_time": time(cell.eventTime),
          ]
        }),
    ]
  }
}
