internal import FeatureModel
internal import FeatureStore
internal import Iceberg
internal import JSON

extension Command {
  static let history = Command(
    name: "history", summary: "list what was written of a key, or the snapshots of a group's table",
    discussion: """
      With a key: its records, newest event time first, from the offline table and what the log has not flushed
      yet, each with the data file and the snapshot that brought it. Only files and row groups are read that may have
      the key. Without a key: when which snapshot of the group's offline table became the current one. Examples:

        fstore history weather origin=JFK --last 5
        fstore history weather origin=JFK --from 2013-01-01T00:00:00Z --to 2013-01-01T06:00:00Z
        fstore history weather
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "the feature group"),
        .init(name: "NAME=VALUE", help: "the entity key", isRequired: false, isRepeatable: true),
      ],
      options: [
        CommandSyntax.option("--last", "N", "only so many, the newest"),
        CommandSyntax.option("--from", "TIME", "no older event times"),
        CommandSyntax.option("--to", "TIME", "no later event times"),
        CommandSyntax.option("--as-of", "TIME|SNAPSHOT|TAG", "the table as it was then"),
        CommandSyntax.flag("--flushed-only", "leave out what only the log has"),
      ])
  ) { context in
    let arguments = context.arguments
    let words = arguments.positionals
    guard words.count > 1 else {
      for name in ["--last", "--from", "--to", "--as-of"] where arguments.value(name) != nil {
        throw UsageError(message: "\(name) needs a key: NAME=VALUE")
      }
      return try tableHistory.run(context)
    }
    var request = HistoryRequest(group: words[0], fields: try assignments(words.dropFirst()))
    request.last = try arguments.integer("--last", minimum: 1).map { Int(clamping: $0) }
    request.includesUnflushed = !arguments.has("--flushed-only")
    request.version = arguments.value("--as-of").map { .init(parsing: $0) }
    let access: FeatureStore.Access = request.includesUnflushed ? .readOnly : .offline
    let (records, group) = try context.withStore(access) { store in
      let from = try arguments.value("--from").map { try FeatureStore.moment($0) } ?? .min
      let to = try arguments.value("--to").map { try FeatureStore.moment($0) } ?? .max
      guard from <= to else { throw UsageError(message: "--from is later than --to") }
      request.eventTimes = from...to
      return (try store.history(request), try store.group(request.group))
    }
    context.output.print(.array(records.map { json($0, group) })) {
      var table = TextTable(
        [("event time", .left), ("write time", .left), ("lsn", .right)]
          + group.features.map { ($0.name, .right) }
          + [("expires", .left), ("snapshot", .right), ("file", .left)])
      for record in records {
        let values = zip(group.features, record.values).map { feature, value in
          guard !record.isDeleted else { return "deleted" }
          let value = value.json(feature.type)
          return value.stringValue ?? value.text()
        }
        table.rows.append(
          [
            CivilTime.text(microseconds: record.eventTime),
            record.writeTime.map { CivilTime.text(microseconds: $0) } ?? "", "\(record.lsn)",
          ] + values + [
            record.expiresAt.map { CivilTime.text(microseconds: $0) } ?? "",
            record.snapshotID.map { "\($0)" } ?? "", record.file ?? "not flushed",
          ])
      }
      return table.text()
    }
    return .success
  }

  private static func json(_ record: HistoryRecord, _ group: FeatureGroup) -> JSONValue {
    func time(_ microseconds: Int64?) -> JSONValue {
      microseconds.map { .string(CivilTime.text(microseconds: $0)) } ?? .null
    }
    var features = JSONObject()
    for (feature, value) in zip(group.features, record.values) {
      features[feature.name] = value.json(feature.type)
    }
    return [
      "event_time": time(record.eventTime), "write_time": time(record.writeTime),
      "lsn": .integer(record.lsn), "deleted": .bool(record.isDeleted),
      "expires_at": time(record.expiresAt), "features": .object(features),
      "file": record.file.map { .string($0) } ?? .null,
      "snapshot_id": record.snapshotID.map { .integer($0) } ?? .null,
    ]
  }
}
