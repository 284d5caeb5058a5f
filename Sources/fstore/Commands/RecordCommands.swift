internal import FeatureModel
internal import FeatureStore
internal import JSON
internal import OnlineStore

extension Command {
  static let ingest = Command(
    name: "ingest", summary: "put the records of a file",
    discussion: """
      Formats by the file's name: .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow. Columns are matched by name;
      --map renames them. Records go through the log, so they are online at once and offline after the flush
      that ends the ingest. With --on-error skip, rows that do not fit are reported and left out; with stop
      (the default) the first one ends the ingest, and what came before it is kept. Example:

        fstore ingest weather weather.csv --on-error skip

      With --offline-only the records of the file are appended to the offline table alone, all or nothing, and
      once: a second run finds it done. 'fstore materialize' brings their newest online.
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "the feature group"), .init(name: "FILE", help: "the records"),
      ],
      options: [
        CommandSyntax.option(
          "--map", "COLUMN=NAME", "take a column of the file under another name", repeatable: true),
        CommandSyntax.option("--on-error", "skip|stop", "what a row that does not fit does"),
        CommandSyntax.option(
          "--flush-every", "ROWS", "flush to the offline table after so many records"),
        CommandSyntax.flag("--no-flush", "leave the records in the log for a later flush"),
        CommandSyntax.flag("--offline-only", "history: past the log, to the offline table alone"),
        CommandSyntax.flag("--again", "with --offline-only: although the table has this file"),
      ])
  ) { context in
    let arguments = context.arguments
    var options = IngestOptions()
    switch arguments.value("--on-error") ?? "stop" {
    case "skip": options.onError = .skip
    case "stop": options.onError = .stop
    case let other: throw UsageError(message: "--on-error takes skip or stop, not '\(other)'")
    }
    options.flushEveryRows = try arguments.integer("--flush-every", minimum: 1).map { Int($0) }
    options.flushesAtEnd = !arguments.has("--no-flush")
    for pair in arguments.all("--map") {
      let (column, name) = try assignment(pair, option: "--map")
      options.columnNames[column] = name
    }
    let file = arguments.positionals[1]
    let bar = ProgressBar("ingesting \(file)")
    let report = try context.withStore(.readWrite) { store in
      defer { bar.finish() }
      let group = arguments.positionals[0]
      func show(_ progress: IngestProgress) {
        bar.update(
          progress.bytesRead, of: progress.totalBytes,
          detail: "\(countText(progress.acceptedCount)) records")
      }
      guard arguments.has("--offline-only") else {
        return try store.ingest(group, file: file, options: options, progress: show)
      }
      return try store.backfill(
        group, file: file, options: options, repeats: arguments.has("--again"), progress: show)
    }
    context.output.print(json(report)) {
      if report.wasDoneBefore { return "the table has this file already; nothing was written" }
      return
        "\(countText(report.acceptedCount)) records accepted, \(countText(report.refusedCount)) refused"
        + (report.flushCount > 0 ? ", \(report.flushCount) flushes" : "")
    }
    for row in report.refusedRows.prefix(20) { Output.note(text(row)) }
    if report.refusedCount > 20 {
      Output.note("... and \(countText(report.refusedCount - 20)) more")
    }
    if report.wasStopped {
      Output.error(
        "stopped at the first row that does not fit; --on-error skip leaves such rows out")
      return .data
    }
    return report.refusedCount > 0 ? .partial : .success
  }

  static let put = Command(
    name: "put", summary: "put one record",
    discussion: """
      Durable when it returns. What is not given is null. With --if-newer the record is written only if its event
      time is later than that of the record, or the tombstone, that answers for its key; that it was not is no
      error. With --ttl it counts for so long after its event time, within the group's ttl, online and in training
      sets. Examples:

        fstore put weather origin=JFK observed_at=2013-01-01T06:00:00Z temp=39.02
        fstore put weather origin=JFK observed_at=2013-01-01T06:00:00Z temp=39.02 --if-newer --ttl 90m
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "the feature group"),
        .init(name: "NAME=VALUE", help: "key, event time and features", isRepeatable: true),
      ],
      options: [
        CommandSyntax.flag("--if-newer", "only if nothing as new answers for the key"),
        CommandSyntax.option("--ttl", "DURATION", "how long the record counts: 90s, 15m, 6h, 7d"),
      ])
  ) { context in
    let words = context.arguments.positionals
    let fields = try assignments(words.dropFirst())
    let timeToLive = try context.arguments.duration("--ttl")
    guard context.arguments.has("--if-newer") else {
      let receipt = try context.withStore(.readWrite) {
        try $0.put(words[0], fields: fields, timeToLiveMicroseconds: timeToLive)
      }
      context.output.print(["lsn": .integer(receipt.lastLSN)]) {
        "accepted as lsn \(receipt.lastLSN)"
      }
      return .success
    }
    let outcome = try context.withStore(.readWrite) {
      try $0.put(words[0], fields: fields, timeToLiveMicroseconds: timeToLive, if: .newer)
    }
    switch outcome {
    case .written(let lsn, _):
      context.output.print(["lsn": .integer(lsn), "written": true]) { "accepted as lsn \(lsn)" }
    case .refused(let current):
      let time = current.map { CivilTime.text(microseconds: $0) }
      context.output.print([
        "lsn": .null, "written": false, "current_event_time": time.map { .string($0) } ?? .null,
      ]) { "not written: what answers has the event time \(time ?? "of nothing")" }
    }
    return .success
  }

  static let delete = Command(
    name: "delete", summary: "delete an entity's values",
    discussion: """
      Writes a tombstone: online answers 'deleted'; training sets see the older values at moments before it
      and nulls after it. The event time is now unless it is given. Example:

        fstore delete weather origin=JFK
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "the feature group"),
        .init(name: "NAME=VALUE", help: "the entity key", isRepeatable: true),
      ],
      options: [CommandSyntax.option("--event-time", "TIME", "when the deletion happened")])
  ) { context in
    let words = context.arguments.positionals
    let fields = try assignments(words.dropFirst())
    let time = context.arguments.value("--event-time")
    let receipt = try context.withStore(.readWrite) {
      try $0.delete(words[0], key: fields, eventTime: time)
    }
    context.output.print(["lsn": .integer(receipt.lastLSN)]) { "deleted as lsn \(receipt.lastLSN)" }
    return .success
  }

  static let purge = Command(
    name: "purge", summary: "take an entity out of the online store",
    discussion: """
      The key answers 'never written' from then on, and its bytes go when the log is cleaned. The offline table
      keeps its rows: 'fstore delete' is what both hear of. Example:

        fstore purge weather origin=JFK
      """,
    syntax: CommandSyntax(positionals: [
      .init(name: "GROUP", help: "the feature group"),
      .init(name: "NAME=VALUE", help: "the entity key", isRepeatable: true),
    ])
  ) { context in
    let words = context.arguments.positionals
    let fields = try assignments(words.dropFirst())
    let receipt = try context.withStore(.readWrite) { try $0.purge(words[0], key: fields) }
    context.output.print(["lsn": .integer(receipt.lastLSN)]) { "purged as lsn \(receipt.lastLSN)" }
    return .success
  }

  static let get = Command(
    name: "get", summary: "read the newest values of an entity",
    discussion: """
      A value that is not there says why: never written, null, expired, deleted. With --at the answer is what was
      known at that moment, from the offline tables and what the log has not flushed yet: what the online store said
      then or, with --visibility event, what had happened by then, written when it may. Examples:

        fstore get weather origin=JFK --feature temp
        fstore get --view flight origin=JFK tailnum=N14228
        fstore get weather origin=JFK --at 2013-01-01T06:00:00Z
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(
          name: "GROUP NAME=VALUE", help: "the group (not with --view) and the entity key",
          isRepeatable: true)
      ],
      options: [
        CommandSyntax.option("--view", "VIEW", "the features of a view, of all its groups"),
        CommandSyntax.option("--feature", "NAME", "only this feature", repeatable: true),
        CommandSyntax.option("--at", "TIME", "what was known then"),
        CommandSyntax.option("--visibility", "ingested|event", "with --at: by write time too?"),
      ])
  ) { context in
    let arguments = context.arguments
    let visibility = try visibility(arguments)
    guard arguments.value("--view") == nil || arguments.all("--feature").isEmpty else {
      throw UsageError(message: "--view names the features itself: it takes no --feature")
    }
    let answers = try context.withStore(.readOnly) { store in
      let moment = try arguments.value("--at").map { try FeatureStore.moment($0) }
      if let view = arguments.value("--view") {
        let fields = try assignments(arguments.positionals[...])
        guard let moment else { return try store.getFeatures(view, fields: fields) }
        return try store.getFeatures(view, fields: fields, at: moment, visibility: visibility)
      }
      let (group, names) = (arguments.positionals[0], arguments.all("--feature"))
      let fields = try assignments(arguments.positionals.dropFirst())
      let features = names.isEmpty ? nil : names
      guard let moment else { return try store.get(group, fields: fields, features: features) }
      return try store.get(
        group, fields: fields, features: features, at: moment, visibility: visibility)
    }
    context.output.print(.array(answers.map(json))) {
      var table = TextTable([
        ("feature", .left), ("value", .right), ("status", .left), ("event time", .left),
        ("write time", .left), ("lsn", .right),
      ])
      for answer in answers {
        let value = answer.value.json(answer.type)
        table.rows.append([
          answer.name, value.stringValue ?? value.text(), answer.status.rawValue,
          answer.eventTime.map { CivilTime.text(microseconds: $0) } ?? "",
          answer.writeTime.map { CivilTime.text(microseconds: $0) } ?? "",
          answer.lsn.map { "\($0)" } ?? "",
        ])
      }
      return table.text()
    }
    return .success
  }

  private static func visibility(
    _ arguments: Arguments
  ) throws(UsageError) -> TrainingSetRequest.Visibility {
    guard let word = arguments.value("--visibility") else { return .ingested }
    guard arguments.value("--at") != nil else {
      throw UsageError(message: "--visibility is about a moment: it needs --at")
    }
    switch word {
    case "ingested": return .ingested
    case "event": return .event
    default: throw UsageError(message: "--visibility takes ingested or event, not '\(word)'")
    }
  }

  static let flush = Command(
    name: "flush", summary: "land the log's records in the offline tables",
    syntax: CommandSyntax()
  ) { context in
    let reports = try context.withStore(.readWrite) { try $0.flush() }
    context.output.print(.array(reports.map(json))) {
      guard !reports.isEmpty else { return "nothing to flush" }
      var table = TextTable([
        ("group", .left), ("records", .right), ("files", .right), ("size", .right), ("lsn", .right),
      ])
      for report in reports {
        table.rows.append([
          report.group, countText(report.recordCount), "\(report.fileCount)",
          bytesText(report.sizeBytes), "\(report.lsn)",
        ])
      }
      return table.text()
    }
    return .success
  }

  /// `NAME=VALUE` words as fields.
  static func assignments(
    _ words: some Collection<String>
  ) throws(UsageError) -> [String: String] {
    var fields: [String: String] = [:]
    for word in words {
      let (name, value) = try assignment(word, option: "")
      guard fields.updateValue(value, forKey: name) == nil else {
        throw UsageError(message: "'\(name)' is given twice")
      }
    }
    return fields
  }

  private static func assignment(
    _ word: String, option: String
  ) throws(UsageError) -> (String, String) {
    guard let equals = word.firstIndex(of: "=") else {
      throw UsageError(
        message: option.isEmpty
          ? "expected NAME=VALUE, not '\(word)'" : "\(option) takes NAME=VALUE, not '\(word)'")
    }
    return (String(word[..<equals]), String(word[word.index(after: equals)...]))
  }

  private static func text(_ row: RefusedRow) -> String {
    let place = row.line.map { "line \($0)" } ?? row.row.map { "row \($0)" } ?? "row"
    let column = row.column.map { ", column '\($0)'" } ?? ""
    let value = row.value.map { ": '\($0)'" } ?? ""
    return "  \(place)\(column)\(value): \(row.message)"
  }

  private static func json(_ report: IngestReport) -> JSONValue {
    [
      "accepted": .integer(Int64(report.acceptedCount)),
      "refused": .integer(Int64(report.refusedCount)),
      "stopped": .bool(report.wasStopped), "done_before": .bool(report.wasDoneBefore),
      "flushes": .integer(Int64(report.flushCount)),
      "first_lsn": report.firstLSN.map { .integer($0) } ?? .null,
      "last_lsn": report.lastLSN.map { .integer($0) } ?? .null,
      "refused_rows": .array(
        report.refusedRows.map { row in
          [
            "line": row.line.map { .integer(Int64($0)) } ?? .null,
            "row": row.row.map { .integer(Int64($0)) } ?? .null,
            "column": row.column.map { .string($0) } ?? .null,
            "value": row.value.map { .string($0) } ?? .null, "message": .string(row.message),
          ]
        }),
    ]
  }

  private static func json(_ answer: FeatureAnswer) -> JSONValue {
    func time(_ microseconds: Int64?) -> JSONValue {
      microseconds.map { .string(CivilTime.text(microseconds: $0)) } ?? .null
    }
    return [
      "feature": .string(answer.name), "value": answer.value.json(answer.type),
      "status": .string(answer.status.rawValue), "event_time": time(answer.eventTime),
      "write_time": time(answer.writeTime), "lsn": answer.lsn.map { .integer($0) } ?? .null,
    ]
  }

  private static func json(_ report: FlushReport) -> JSONValue {
    [
      "group": .string(report.group), "records": .integer(Int64(report.recordCount)),
      "files": .integer(Int64(report.fileCount)), "bytes": .integer(report.sizeBytes),
      "snapshot_id": .integer(report.snapshotID), "lsn": .integer(report.lsn),
    ]
  }
}
