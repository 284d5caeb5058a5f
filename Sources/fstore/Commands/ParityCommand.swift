internal import FeatureModel
internal import FeatureStore
internal import JSON

extension Command {
  /// `fstore verify --parity`.
  static func verifyParity(_ context: Context) throws -> ExitStatus {
    let arguments = context.arguments
    let memory = try arguments.byteCount("--memory").map { Int(clamping: $0) } ?? 512 << 20
    let names = arguments.positionals.isEmpty ? nil : arguments.positionals
    let bar = ProgressBar("comparing")
    let (report, groups) = try context.withStore(.readOnly) { store in
      defer { bar.finish() }
      let report = try store.verifyParity(names, memoryBytes: memory) { done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
      return (report, store.groups)
    }
    let types = Dictionary(
      groups.flatMap { group in
        (group.recordIdentifiers + group.features).map { ("\(group.name):\($0.name)", $0.type) }
      }
    ) { first, _ in first }
    func json(_ value: FeatureValue, _ name: String) -> JSONValue {
      types[name].map { value.json($0) } ?? .null
    }
    func key(_ difference: ParityReport.Difference) -> JSONObject {
      let names =
        groups.first { $0.name == difference.group }?.recordIdentifiers.map(\.name) ?? []
      var key = JSONObject()
      for (name, value) in zip(names, difference.key) {
        key[name] = json(value, "\(difference.group):\(name)")
      }
      return key
    }
    let output: JSONValue = [
      "groups": .array(
        report.groups.map { group in
          [
            "group": .string(group.name), "keys": .integer(Int64(group.keyCount)),
            "equal": .integer(Int64(group.equalCount)),
            "expired": .integer(Int64(group.expiredCount)),
            "purged": .integer(Int64(group.purgedCount)),
            "changed": .integer(Int64(group.changedCount)),
            "differing": .integer(Int64(group.differingCount)),
          ]
        }),
      "differences": .array(
        report.differences.map { difference in
          let name = "\(difference.group):\(difference.feature ?? "")"
          return [
            "group": .string(difference.group), "key": .object(key(difference)),
            "feature": difference.feature.map { .string($0) } ?? .null,
            "offline": json(difference.offline, name), "online": json(difference.online, name),
            "newer": .string(difference.newer.rawValue), "reason": .string(difference.reason),
          ]
        }),
    ]
    context.output.print(output) {
      var table = TextTable([
        ("group", .left), ("keys", .right), ("equal", .right), ("expired", .right),
        ("purged", .right), ("changed meanwhile", .right), ("differing", .right),
      ])
      for group in report.groups {
        table.rows.append([
          group.name, countText(group.keyCount), countText(group.equalCount),
          countText(group.expiredCount), countText(group.purgedCount),
          countText(group.changedCount), countText(group.differingCount),
        ])
      }
      return table.text()
    }
    for difference in report.differences {
      let identifiers = key(difference)
      let words = zip(identifiers.keys, identifiers.values).map { name, value in
        "\(name)=\(value.stringValue ?? value.text())"
      }
      var text = "\(difference.group) \(words.joined(separator: " ")): "
      if let feature = difference.feature {
        let name = "\(difference.group):\(feature)"
        text +=
          "\(feature) is \(json(difference.offline, name).text()) offline, "
          + "\(json(difference.online, name).text()) online: "
      }
      Output.error(text + difference.reason)
    }
    return report.differingCount == 0 ? .success : .data
  }
}
