internal import FeatureModel
internal import FeatureStore
import Iceberg
internal import JSON

extension Command {
  static let initialize = Command(
    name: "init", summary: "make a new, empty store",
    discussion: "The directory must be empty or not be there yet. Example:\n\n  fstore init store",
    syntax: CommandSyntax(
      positionals: [
        .init(name: "DIRECTORY", help: "where; the --store otherwise", isRequired: false)
      ], options: settingsOptions)
  ) { context in
    let directory = context.arguments.positionals.first ?? context.storeDirectory
    var settings = StoreSettings()
    try change(&settings, context.arguments)
    try FeatureStore.create(at: directory, settings: settings)
    context.output.print(["store": .string(directory)]) { "made a feature store in \(directory)" }
    return .success
  }

  static let groupCreate = Command(
    name: "group create", summary: "create a feature group",
    discussion: """
      Types: \(FeatureType.allowedNames).
      Names are letters, digits and underscores. Example:

        fstore group create weather --key origin:string --event-time observed_at \\
          --feature temp:double --feature humid:double --ttl 6h
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "NAME", help: "the group's name")],
      options: [
        CommandSyntax.option(
          "--key", "NAME:TYPE", "a column of the entity key", repeatable: true),
        CommandSyntax.option("--event-time", "NAME", "the column that says when it happened"),
        CommandSyntax.option("--feature", "NAME:TYPE", "a feature", repeatable: true),
        CommandSyntax.option(
          "--ttl", "DURATION",
          "values count this long after their event time (6h, 7d); for ever "
            + "without it"),
        CommandSyntax.option(
          "--data-delay", "DURATION",
          "records are known so long after their event; training sets wait for it"),
        CommandSyntax.option(
          "--partition", "UNIT", "partition the offline table by event time: hour, day, month, year"
        ),
        CommandSyntax.flag("--no-online", "keep no online values"),
        CommandSyntax.flag("--no-offline", "keep no offline table"),
        CommandSyntax.option(
          "--property", "KEY=VALUE", "a property for the Iceberg table", repeatable: true),
      ])
  ) { context in
    let arguments = context.arguments
    let group: FeatureGroup
    do {
      group = try FeatureGroup(
        id: 0, name: arguments.positionals[0],
        recordIdentifiers: try arguments.all("--key").map(typedName),
        eventTimeName: try arguments.required("--event-time"),
        features: try arguments.all("--feature").map(typedName),
        isOnline: !arguments.has("--no-online"), isOffline: !arguments.has("--no-offline"),
        timeToLive: try arguments.duration("--ttl").map { .microseconds($0) } ?? .infinite,
        partitioning: try partitioning(arguments.value("--partition")),
        tableProperties: try properties(arguments.all("--property")),
        dataDelayMicroseconds: try arguments.duration("--data-delay") ?? 0)
    } catch let error as FeatureModelError {
      throw UsageError(message: error.message)
    }
    let created = try context.withStore(.readWrite) { try $0.createGroup(group) }
    context.output.print(created.json) { "created the feature group '\(created.name)'" }
    return .success
  }

  static let groupAddFeatures = Command(
    name: "group add-features", summary: "add features to a group",
    discussion: "Older records answer null for them. Example:\n\n"
      + "  fstore group add-features weather --feature gust:double",
    syntax: CommandSyntax(
      positionals: [.init(name: "NAME", help: "the group's name")],
      options: [CommandSyntax.option("--feature", "NAME:TYPE", "a feature", repeatable: true)])
  ) { context in
    let features = try context.arguments.all("--feature").map(typedName)
    guard !features.isEmpty else { throw UsageError(message: "--feature is needed") }
    let name = context.arguments.positionals[0]
    let group = try context.withStore(.readWrite) { try $0.addFeatures(features, to: name) }
    context.output.print(group.json) {
      "'\(name)' is at version \(group.version) with \(group.features.count) features"
    }
    return .success
  }

  static let groupList = Command(name: "group list", summary: "list the feature groups") {
    context in
    let groups = try context.withStore(.offline) { $0.groups }
    context.output.print(.array(groups.map(\.json))) {
      var table = TextTable([
        ("group", .left), ("key", .left), ("event time", .left), ("features", .right),
        ("ttl", .left), ("online", .left), ("offline", .left),
      ])
      for group in groups {
        table.rows.append([
          group.name, group.recordIdentifiers.map(\.name).joined(separator: ", "),
          group.eventTimeName, "\(group.features.count)", group.timeToLive.description,
          group.isOnline ? "yes" : "no", group.isOffline ? "yes" : "no",
        ])
      }
      return table.text()
    }
    return .success
  }

  static let groupDescribe = Command(
    name: "group describe",
    summary: "show a group's definition, its table's properties and what maintenance goes by",
    discussion: """
      What optimize and vacuum go by is shown with the property that says so: Iceberg's
      (write.target-file-size-bytes, history.expire.max-snapshot-age-ms, ...), Athena's
      (optimize_rewrite_data_file_threshold, vacuum_max_snapshot_age_seconds, ...), or the default. Where both
      say something, Iceberg's counts.
      """,
    syntax: CommandSyntax(positionals: [.init(name: "NAME", help: "the group's name")])
  ) { context in
    let name = context.arguments.positionals[0]
    let (group, table) = try context.withStore(.offline) { store in
      let group = try store.group(name)
      return (group, group.isOffline ? try store.offlineTable(name) : nil)
    }
    let properties = table?.properties ?? [:]
    let directory = try table.map { try Location.path(of: $0.location) }
    var json = group.json.objectValue ?? [:]
    json["table_directory"] = directory.map { .string($0) } ?? .null
    json["table_properties"] = .object(
      JSONObject(properties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    let maintenance = try table.map { try MaintenanceSettings($0.metadata).settings } ?? []
    json["maintenance"] = .object(
      JSONObject(
        maintenance.map { setting in
          (
            setting.name,
            [
              "value": .string(setting.value),
              "property": setting.property.map { .string($0) } ?? .null,
            ]
          )
        }))
    context.output.print(.object(json)) {
      var table = TextTable([("column", .left), ("type", .left), ("role", .left)])
      for key in group.recordIdentifiers {
        table.rows.append([key.name, key.type.description, "record identifier"])
      }
      table.rows.append([group.eventTimeName, "timestamp", "event time"])
      for feature in group.features {
        let since =
          feature.sinceVersion > 1 ? "feature since version \(feature.sinceVersion)" : "feature"
        table.rows.append([feature.name, feature.type.description, since])
      }
      let delay =
        group.dataDelayMicroseconds == 0
        ? "" : ", known \(DurationText.text(group.dataDelayMicroseconds)) after the event"
      let facts = [
        "feature group '\(group.name)', version \(group.version), ttl "
          + "\(group.timeToLive)\(delay), partitioned by \(group.partitioning.rawValue)",
        directory.map { "offline table in \($0)" } ?? "no offline table",
        "",
      ]
      let settings = properties.sorted { $0.key < $1.key }.map { "  \($0.key) = \($0.value)" }
      var lines = facts + [table.text()]
      if !settings.isEmpty { lines += ["", "table properties:"] + settings }
      if !maintenance.isEmpty {
        lines += ["", "maintenance:"]
        lines += maintenance.map { "  \($0.name) = \($0.value) (\($0.property ?? "default"))" }
      }
      return lines.joined(separator: "\n")
    }
    return .success
  }

  static let viewCreate = Command(
    name: "view create", summary: "name features of several groups",
    discussion: """
      A view answers online in one call (fstore get --view) and defines training sets, so the two agree.
      A feature is GROUP:FEATURE, GROUP:* for all of a group's, or GROUP:FEATURE=NAME to rename it. With
      ,ttl=DURATION behind it a value counts only so long, which may be shorter than the group's ttl. With
      ,time=COLUMN training sets ask for it at the moments in that column of the spine. With ,key=NAME it is asked for
      by what the entity calls NAME, not by the record identifier's own name (of several: ,key=NAME:IDENTIFIER):

        fstore view create flight weather:temp,ttl=2h weather:humid arrivals:arr_delay=last_delay planes:* \\
          weather:temp=temp_there,key=dest
        fstore get --view flight origin=JFK dest=LAX tailnum=N14228
      """,
    syntax: CommandSyntax(positionals: [
      .init(name: "NAME", help: "the view's name"),
      .init(
        name: "FEATURE",
        help: "GROUP:FEATURE[=NAME][,ttl=DURATION][,time=COLUMN][,key=NAME], or GROUP:*",
        isRepeatable: true),
    ])
  ) { context in
    let words = context.arguments.positionals
    let view = try context.withStore(.readWrite) { store in
      let view = try FeatureView(
        name: words[0], features: try store.featureReferences(Array(words.dropFirst())))
      try store.createView(view)
      return view
    }
    context.output.print(view.json) {
      "created the feature view '\(view.name)' with \(view.features.count) features"
    }
    return .success
  }

  static let viewList = Command(name: "view list", summary: "list the feature views") { context in
    let views = try context.withStore(.offline) { $0.views }
    context.output.print(.array(views.map(\.json))) {
      var table = TextTable([("view", .left), ("features", .right), ("groups", .left)])
      for view in views {
        table.rows.append([
          view.name, "\(view.features.count)", view.groups.joined(separator: ", "),
        ])
      }
      return table.text()
    }
    return .success
  }

  /// `NAME:TYPE` as it stands in `--key` and `--feature`.
  private static func typedName(_ text: String) throws -> Feature {
    guard let colon = text.firstIndex(of: ":") else {
      throw UsageError(
        message: "'\(text)' needs a type: NAME:TYPE, with \(FeatureType.allowedNames)")
    }
    let type = try FeatureType(parsing: String(text[text.index(after: colon)...]))
    return Feature(String(text[..<colon]), type)
  }

  private static func partitioning(_ text: String?) throws(UsageError) -> Partitioning {
    guard let text else { return .none }
    guard let partitioning = Partitioning(rawValue: text) else {
      let allowed = Partitioning.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError(message: "--partition takes one of \(allowed), not '\(text)'")
    }
    return partitioning
  }

  private static func properties(_ texts: [String]) throws(UsageError) -> [String: String] {
    var properties: [String: String] = [:]
    for text in texts {
      guard let equals = text.firstIndex(of: "=") else {
        throw UsageError(message: "--property takes KEY=VALUE, not '\(text)'")
      }
      properties[String(text[..<equals])] = String(text[text.index(after: equals)...])
    }
    return properties
  }
}
