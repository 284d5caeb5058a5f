internal import FeatureModel
internal import FeatureStore
internal import JSON

extension Command {
  static let trainingSetCreate = Command(
    name: "training-set create", summary: "extract a training set that can be made again",
    discussion: """
      Like 'fstore training-set', and gives it a name: the snapshots that it was made of are tagged in the tables
      (fstore.training-set.NAME), so that no vacuum takes them, and the rows of the spine are kept in the store.
      'fstore training-set reproduce NAME' gives the same bytes later. Example:

        fstore training-set create january --spine flights.csv --time scheduled_departure --view flight \\
          --output january.parquet
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "NAME", help: "the training set's name")],
      options: trainingSetOptions)
  ) { context in
    let request = try trainingSetRequest(context.arguments)
    let name = context.arguments.positionals[0]
    let bar = ProgressBar("extracting")
    let (set, report) = try context.withStore(.offline) { store in
      defer { bar.finish() }
      return try store.createTrainingSet(name, request) { done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
    }
    var json = report.json.objectValue ?? [:]
    json["training_set"] = set.json
    if case .standardOutput = request.output {
      Output.note(context.output.isJSON ? JSONValue.object(json).text() : report.text)
    } else {
      context.output.print(.object(json)) { report.text + "\nkept as '\(name)'" }
    }
    return .success
  }

  static let trainingSetList = Command(
    name: "training-set list", summary: "list the training sets that have names"
  ) { context in
    let sets = try context.withStore(.offline) { try $0.trainingSets() }
    context.output.print(.array(sets.map(\.json))) {
      var table = TextTable([
        ("training set", .left), ("made", .left), ("rows", .right), ("columns", .right),
        ("groups", .left), ("sha-256", .left),
      ])
      for set in sets {
        table.rows.append([
          set.name,
          FeatureValue.timestamp(set.createdMicroseconds).json(.timestamp).stringValue ?? "",
          countText(set.rowCount), "\(set.columnCount)",
          set.snapshots.keys.sorted().joined(separator: ", "),
          set.isComplete ? String((set.sha256 ?? "").prefix(16)) : "not complete",
        ])
      }
      return table.text()
    }
    return .success
  }

  static let trainingSetDescribe = Command(
    name: "training-set describe", summary: "show what a training set was made of",
    syntax: CommandSyntax(positionals: [.init(name: "NAME", help: "the training set's name")])
  ) { context in
    let name = context.arguments.positionals[0]
    let set = try context.withStore(.offline) { try $0.trainingSet(named: name) }
    context.output.print(set.json) { set.json.text(pretty: true) }
    return .success
  }

  static let trainingSetReproduce = Command(
    name: "training-set reproduce", summary: "make a training set again, byte for byte",
    discussion: """
      Reads the tagged snapshots and the spine that was kept, and compares the SHA-256 of what comes out with what it
      was. Exit status 65 when it is not the same (another version of fstore may write the same rows as other bytes);
      the output is there all the same. With an output of another form there is nothing to compare.
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "NAME", help: "the training set's name")],
      options: [
        CommandSyntax.option("--output", "FILE", "where to write it; where it was otherwise"),
        CommandSyntax.option("--format", "FORMAT", "of standard output: arrow-stream or csv"),
        CommandSyntax.option(
          "--partition-by", "COLUMN", "write a folder, parted by a column's values",
          repeatable: true),
        CommandSyntax.option("--rows-per-file", "N", "write a folder of files of so many rows"),
        CommandSyntax.flag("--overwrite", "replace the output"),
      ])
  ) { context in
    let arguments = context.arguments
    let place = arguments.value("--output") == nil ? nil : try output(arguments)
    let bar = ProgressBar("extracting")
    let (report, isIdentical) = try context.withStore(.offline) { store in
      defer { bar.finish() }
      return try store.reproduceTrainingSet(
        arguments.positionals[0], output: place, replacing: arguments.has("--overwrite")
      ) { done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
    }
    var json = report.json.objectValue ?? [:]
    json["is_identical"] = isIdentical.map { .bool($0) } ?? .null
    let verdict =
      switch isIdentical {
      case true?: "the same, byte for byte"
      case false?: "NOT the same bytes as it was made of"
      case nil: "in another form than it was"
      }
    if case .standardOutput? = place {
      Output.note(context.output.isJSON ? JSONValue.object(json).text() : verdict)
    } else {
      context.output.print(.object(json)) { report.text + "\n" + verdict }
    }
    return isIdentical == false ? .data : .success
  }

  static let trainingSetDelete = Command(
    name: "training-set delete", summary: "forget a training set: its name, tags and kept spine",
    discussion: "Its output stays; the snapshots go with the next vacuum.",
    syntax: CommandSyntax(
      positionals: [.init(name: "NAME", help: "the training set's name")],
      options: [CommandSyntax.flag("--yes", "needed: it cannot be made again afterwards")])
  ) { context in
    guard context.arguments.has("--yes") else {
      throw UsageError(message: "--yes is needed: the training set cannot be made again afterwards")
    }
    let name = context.arguments.positionals[0]
    try context.withStore(.offline) { try $0.deleteTrainingSet(name) }
    context.output.print(["deleted": .string(name)]) { "deleted the training set '\(name)'" }
    return .success
  }
}
