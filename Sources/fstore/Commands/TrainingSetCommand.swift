internal import FeatureModel
internal import FeatureStore
internal import JSON

extension Command {
  static let trainingSet = Command(
    name: "training-set", summary: "extract a point-in-time correct training set",
    discussion: """
      For each row of the spine, each feature is what was known of the row's entity at the row's time: the
      newest value with an event time not after it and not older than the ttl; null if there is none.
      The output has the spine's rows, in its order, with its own columns first.

      The spine says which rows. It is one of
        --spine FILE           your own rows: .csv, .tsv, .jsonl, .parquet, .arrow, or folders of these
        --spine-group GROUP    the records of a feature group: --where "delay > 15", --spine-feature delay
        --all-keys             every key of the features' groups, at each --at TIME
        --changes FROM..TO     a row whenever something changed in this range of time (TO is not in it)
      The last two need no file, and groups with the same keys (or --keys-of GROUP says whose).

      A feature is GROUP:FEATURE, or GROUP:*; behind it =NAME names its column, ,ttl=2h is how long a value
      counts, ,time=COLUMN is the spine's column with its moments, and ,key=COLUMN the one with its key:
        --feature weather:temp=temp_then,time=booked_at --feature weather:temp=temp_now,ttl=2h
        --feature weather:temp=temp_here,key=origin --feature weather:temp=temp_there,key=dest

      Splits never let a key (--split train=0.8,test=0.2 --split-by user) or the future (--split-at
      2026-01-01) cross; each part is a file: set-train.parquet, set-test.parquet.

      Where it goes, by the name: .parquet, .arrow (Feather), .arrows (an Arrow stream), .csv; a folder with
      --partition-by or --rows-per-file; or - with --format arrow-stream or csv. To Python:
        polars.read_parquet("set.parquet"), duckdb.read_parquet("set/**/*.parquet"),
        pyarrow.ipc.open_stream(pipe).read_pandas()

      Files that cannot hold an answer are not read. Of tables above 64 MiB the report then has nulls whose reason
      is not known: "not read"; --null-reasons always reads their keys too. "written later" counts rows whose
      value was written after their own time, late or by a backfill: nobody knew it then. --exclude-late makes
      it null, --visibility ingested takes what was there. Examples:

        fstore training-set --spine flights.csv --time scheduled_departure --view flight --output set.parquet
        fstore training-set --all-keys --at 2026-01-01 --at 2026-02-01 --feature weather:* --output set.csv
      """,
    syntax: CommandSyntax(options: trainingSetOptions + queryOptions)
  ) { context in
    var request = try trainingSetRequest(context.arguments)
    if let engine = context.arguments.value("--sql") {
      return try printQuery(request, for: engine, context)
    }
    request.includesUnflushed = context.arguments.has("--include-unflushed")
    let access: FeatureStore.Access = request.includesUnflushed ? .readOnly : .offline
    let bar = ProgressBar("extracting")
    let report = try context.withStore(access) { [request] store in
      defer { bar.finish() }
      return try store.extractTrainingSet(request) { done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
    }
    if case .standardOutput = request.output {
      // The rows are there; what is to be said of them must not be among them.
      Output.note(context.output.isJSON ? report.json.text() : report.text)
    } else {
      context.output.print(report.json) { report.text }
    }
    return .success
  }

  static let trainingSetOptions: [CommandSyntax.Option] = [
    CommandSyntax.option("--spine", "FILE", "keys, times and other columns", repeatable: true),
    CommandSyntax.option("--spine-group", "GROUP", "the records of a feature group as the spine"),
    CommandSyntax.option("--where", "FILTER", "which of these records, in the words of SQL"),
    CommandSyntax.option(
      "--spine-feature", "FEATURE", "a feature of these records, as a label", repeatable: true),
    CommandSyntax.flag("--all-keys", "every key at each of the times"),
    CommandSyntax.option("--at", "TIME", "a time for --all-keys", repeatable: true),
    CommandSyntax.option("--changes", "FROM..TO", "every change in a range of time"),
    CommandSyntax.option(
      "--keys-of", "GROUP", "whose keys, for --all-keys and --changes", repeatable: true),
    CommandSyntax.option(
      "--time", "COLUMN", "the spine's time column; event_time where the spine is made here"),
    CommandSyntax.option(
      "--time-of", "GROUP=COLUMN", "a group's own time column of the spine", repeatable: true),
    CommandSyntax.option("--view", "VIEW", "the features of a view"),
    CommandSyntax.option(
      "--feature", "GROUP:FEATURE", "a feature, or GROUP:*; see below", repeatable: true),
    CommandSyntax.option(
      "--key", "COLUMN=IDENTIFIER", "the spine's name for a record identifier", repeatable: true),
    CommandSyntax.option("--output", "FILE", "where to write the training set"),
    CommandSyntax.option("--format", "FORMAT", "of standard output: arrow-stream or csv"),
    CommandSyntax.option(
      "--partition-by", "COLUMN", "write a folder, parted by a column's values", repeatable: true),
    CommandSyntax.option("--rows-per-file", "N", "write a folder of files of so many rows"),
    CommandSyntax.option(
      "--visibility", "event|ingested", "ingested counts only what was written by the row's time"),
    CommandSyntax.flag("--strict", "only what is from before the row's time counts"),
    CommandSyntax.flag("--exclude-late", "values that were written after the row's time are null"),
    CommandSyntax.option(
      "--data-delay", "GROUP=DURATION",
      "a group's records are known so long after their event", repeatable: true),
    CommandSyntax.option(
      "--null-reasons", "if-cheap|always|never", "whether keys are read only to say why a null is"),
    CommandSyntax.option(
      "--as-of", "[GROUP=]TIME|SNAPSHOT|TAG", "read the tables as they were", repeatable: true),
    CommandSyntax.option("--split", "NAME=SHARE,...", "parts by a hash of the key"),
    CommandSyntax.option("--split-by", "COLUMN", "the key that stays together", repeatable: true),
    CommandSyntax.option("--split-seed", "N", "another split of the same shares"),
    CommandSyntax.option(
      "--split-at", "TIME", "train before it, test from it on; a second one for validation",
      repeatable: true),
    CommandSyntax.flag("--overwrite", "replace the output"),
  ]

  /// The request that the options make.
  ///
  /// - Parameter file: a training set that is there already, instead of spine and output.
  static func trainingSetRequest(
    _ arguments: Arguments, ofFile file: String? = nil
  ) throws -> TrainingSetRequest {
    let (spine, standardTime) = try file.map { (.files([$0]), nil) } ?? spine(arguments)
    let hasOutput = file == nil && arguments.value("--sql") == nil
    var request = TrainingSetRequest(
      spine: spine,
      timeColumn: try standardTime.map { arguments.value("--time") ?? $0 }
        ?? arguments.required("--time"),
      output: try hasOutput ? output(arguments) : .file(""))
    request.view = arguments.value("--view")
    request.features = arguments.all("--feature")
    request.replacesOutput = arguments.has("--overwrite")
    guard (request.view == nil) != request.features.isEmpty else {
      throw UsageError(message: "either --view or --feature is needed")
    }
    for pair in arguments.all("--key") {
      let (column, identifier) = try halves(pair, "--key", "COLUMN=IDENTIFIER")
      request.keyColumns[identifier] = column
    }
    for pair in arguments.all("--time-of") {
      let (group, column) = try halves(pair, "--time-of", "GROUP=COLUMN")
      request.timeColumns[group] = column
    }
    request.excludesLate = arguments.has("--exclude-late")
    let reasons = arguments.value("--null-reasons") ?? "if-cheap"
    guard let nullReasons = TrainingSetRequest.NullReasons(rawValue: reasons) else {
      throw UsageError(
        message: "--null-reasons takes if-cheap, always or never, not '\(reasons)'")
    }
    request.nullReasons = nullReasons
    for pair in arguments.all("--data-delay") {
      let (group, text) = try halves(pair, "--data-delay", "GROUP=DURATION")
      guard let delay = DurationText.microseconds(text) else {
        throw UsageError(
          message: "--data-delay takes a length of time such as 15m or 1d, not '\(text)'")
      }
      request.dataDelays[group] = delay
    }
    let visibility = arguments.value("--visibility") ?? "event"
    guard let known = TrainingSetRequest.Visibility(rawValue: visibility) else {
      throw UsageError(message: "--visibility takes event or ingested, not '\(visibility)'")
    }
    request.visibility = known
    request.isStrict = arguments.has("--strict")
    for text in arguments.all("--as-of") {
      if text.contains("=") {
        let (group, version) = try halves(text, "--as-of", "GROUP=TIME|SNAPSHOT|TAG")
        request.asOfByGroup[group] = .init(parsing: version)
      } else {
        guard request.asOf == nil else {
          throw UsageError(message: "--as-of without a group is given twice")
        }
        request.asOf = .init(parsing: text)
      }
    }
    request.split = try split(arguments)
    return request
  }

  /// The spine, and the name of its time column where it has one of its own.
  private static func spine(
    _ arguments: Arguments
  ) throws -> (TrainingSetRequest.Spine, timeColumn: String?) {
    let files = arguments.all("--spine")
    let given = [
      !files.isEmpty, arguments.value("--spine-group") != nil, arguments.has("--all-keys"),
      arguments.value("--changes") != nil,
    ]
    guard given.filter({ $0 }).count == 1 else {
      throw UsageError(
        message: "one of --spine, --spine-group, --all-keys and --changes is needed")
    }
    func refuse(_ option: String, _ needed: String, if isGiven: Bool) throws {
      if isGiven { throw UsageError(message: "\(option) goes with \(needed)") }
    }
    try refuse("--where", "--spine-group", if: !given[1] && arguments.value("--where") != nil)
    try refuse(
      "--spine-feature", "--spine-group", if: !given[1] && !arguments.all("--spine-feature").isEmpty
    )
    try refuse("--at", "--all-keys", if: !given[2] && !arguments.all("--at").isEmpty)
    try refuse(
      "--keys-of", "--all-keys or --changes",
      if: !given[2] && !given[3] && !arguments.all("--keys-of").isEmpty)
    if given[0] { return (.files(files), nil) }
    if let group = arguments.value("--spine-group") {
      try refuse("--time", "--spine, --all-keys or --changes", if: arguments.value("--time") != nil)
      return (
        .group(
          group, filter: arguments.value("--where"), features: arguments.all("--spine-feature")),
        ""
      )
    }
    let groups = arguments.all("--keys-of")
    if given[2] {
      let moments = try arguments.all("--at").map { try FeatureStore.moment($0) }
      guard !moments.isEmpty else { throw UsageError(message: "--all-keys needs --at TIME") }
      return (.allKeys(of: groups, at: moments), "event_time")
    }
    let range = try arguments.required("--changes")
    guard let dots = range.firstRange(of: "..") else {
      throw UsageError(message: "--changes takes FROM..TO, not '\(range)'")
    }
    return (
      .changes(
        of: groups, from: try FeatureStore.moment(String(range[..<dots.lowerBound])),
        to: try FeatureStore.moment(String(range[dots.upperBound...]))),
      "event_time"
    )
  }

  static func output(_ arguments: Arguments) throws -> TrainingSetOutput {
    let path = try arguments.required("--output")
    let columns = arguments.all("--partition-by")
    let rows = try arguments.integer("--rows-per-file", minimum: 1)
    let format = arguments.value("--format")
    guard path == "-" else {
      if format != nil { throw UsageError(message: "--format goes with --output -") }
      guard !columns.isEmpty || rows != nil else { return .file(path) }
      return .folder(
        path, TrainingSetFolder(partitionColumns: columns, rowsPerFile: rows.map { Int($0) }))
    }
    guard columns.isEmpty, rows == nil else {
      throw UsageError(message: "standard output is no folder")
    }
    guard let format = format.flatMap(RowFormat.init(optionValue:)), format.isStream else {
      throw UsageError(message: "--output - needs --format arrow-stream or --format csv")
    }
    return .standardOutput(format)
  }

  private static func split(_ arguments: Arguments) throws -> TrainingSetSplit? {
    let cuts = try arguments.all("--split-at").map { try FeatureStore.moment($0) }
    let columns = arguments.all("--split-by")
    let seed = try arguments.integer("--split-seed") ?? 0
    guard let text = arguments.value("--split") else {
      guard columns.isEmpty, arguments.value("--split-seed") == nil else {
        throw UsageError(message: "--split-by and --split-seed go with --split")
      }
      return cuts.isEmpty ? nil : .byTime(cuts)
    }
    guard cuts.isEmpty else {
      throw UsageError(message: "a split is by key (--split) or by time (--split-at)")
    }
    guard !columns.isEmpty else {
      throw UsageError(message: "--split needs --split-by COLUMN: the key that stays together")
    }
    guard let seed = UInt32(exactly: seed) else {
      throw UsageError(message: "--split-seed takes a number below 2^32")
    }
    let shares = try text.split(separator: ",").map { part in
      let (name, share) = try halves(String(part), "--split", "NAME=SHARE,...")
      guard let share = Double(share) else {
        throw UsageError(message: "--split takes shares such as 0.8, not '\(share)'")
      }
      return TrainingSetSplit.Share(name: name, share: share)
    }
    return .byKey(columns: columns, shares: shares, seed: seed)
  }

  private static func halves(
    _ pair: String, _ option: String, _ form: String
  ) throws(UsageError) -> (String, String) {
    guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex,
      pair.index(after: equals) < pair.endIndex
    else { throw UsageError(message: "\(option) takes \(form), not '\(pair)'") }
    return (String(pair[..<equals]), String(pair[pair.index(after: equals)...]))
  }
}

extension TrainingSetReport {
  /// For people.
  var text: String {
    var table = TextTable([
      ("group", .left), ("rows answered", .right), ("never written", .right),
      ("only later", .right), ("late", .right), ("expired", .right), ("deleted", .right),
      ("no key", .right), ("not read", .right), ("written later", .right), ("files read", .right),
      ("skipped", .right),
    ])
    for group in groups {
      // A group may be asked for more than once, at other moments or with another ttl.
      let isOnly = groups.filter { $0.name == group.name }.count == 1
      table.rows.append([
        isOnly ? group.name : "\(group.name): \(group.columns.joined(separator: ", "))",
        countText(group.foundCount), countText(group.neverWrittenCount),
        countText(group.onlyLaterCount), countText(group.lateCount), countText(group.expiredCount),
        countText(group.deletedCount), countText(group.noKeyCount), countText(group.notReadCount),
        countText(group.writtenLaterCount), "\(group.filesRead)", "\(group.filesSkipped)",
      ])
    }
    var lines = [table.text(), ""]
    for group in groups where group.isYounger {
      lines.append("the table of '\(group.name)' is younger than the version asked for: no values")
    }
    for part in parts { lines.append("\(part.name): \(countText(part.rowCount)) rows") }
    let place =
      switch files.count {
      case 1: files[0].name == "-" ? "" : " in \(files[0].name)"
      case let count: " in \(countText(count)) files"
      }
    lines.append(
      "\(countText(rowCount)) rows x \(columnCount) columns\(place) (\(bytesText(sizeBytes)))")
    return lines.joined(separator: "\n")
  }

  var json: JSONValue {
    [
      "rows": .integer(Int64(rowCount)), "columns": .integer(Int64(columnCount)),
      "bytes": .integer(sizeBytes), "files": .array(files.map(\.json)),
      "parts": .array(
        parts.map { ["name": .string($0.name), "rows": .integer(Int64($0.rowCount))] }),
      "groups": .array(
        groups.map { group in
          [
            "group": .string(group.name),
            "columns": .array(group.columns.map { .string($0) }),
            "time_column": .string(group.timeColumn),
            "snapshot_id": group.snapshotID.map { .integer($0) } ?? .null,
            "is_younger": .bool(group.isYounger),
            "found": .integer(Int64(group.foundCount)),
            "never_written": .integer(Int64(group.neverWrittenCount)),
            "only_later": .integer(Int64(group.onlyLaterCount)),
            "late": .integer(Int64(group.lateCount)),
            "expired": .integer(Int64(group.expiredCount)),
            "deleted": .integer(Int64(group.deletedCount)),
            "no_key": .integer(Int64(group.noKeyCount)),
            "not_read": .integer(Int64(group.notReadCount)),
            "written_later": .integer(Int64(group.writtenLaterCount)),
            "files_read": .integer(Int64(group.filesRead)),
            "files_skipped": .integer(Int64(group.filesSkipped)),
          ]
        }),
    ]
  }
}

extension TrainingSetFile {
  var json: JSONValue {
    var object: JSONObject = ["name": .string(name), "bytes": .integer(sizeBytes)]
    if let sha256 { object["sha256"] = .string(sha256) }
    return .object(object)
  }
}
