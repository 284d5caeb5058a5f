public import JSON

/// What a repair found, and what it did or would do.
public struct RepairReport: Sendable {
  /// Each in one sentence, with its place.
  public var damages: [String] = []
  /// Log sequence numbers of which nothing could be read; some may never have been given to a record. Which
  /// keys they were is not known.
  public var lost: [ClosedRange<Int64>] = []
  /// Records of the log that are whole, and those of them that were in damaged frames.
  public var recordCount = 0
  public var looseRecordCount = 0
  /// Files that are replaced, by their names in the log's directory.
  public var replacedFiles: [String] = []
  /// Where they are kept; nil as long as nothing was done.
  public var keptIn: String?
  /// Groups whose tables have records of the lost ranges: `materialize` brings them online again.
  public var groupsToMaterialize: [String] = []
  /// Groups of which lost records, if there were any, are in no table either.
  public var groupsWithLosses: [String] = []
  /// What is wrong still, or cannot be repaired by this: a table's file that is missing, say.
  public var remainingDamages: [String] = []

  public var isNeeded: Bool { !damages.isEmpty }
  public var isDone: Bool { keptIn != nil }

  /// LSNs that are lost, together.
  public var lostCount: Int64 { lost.reduce(0) { $0 + Int64($1.count) } }

  public var json: JSONValue {
    func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
    return [
      "needed": .bool(isNeeded), "done": .bool(isDone), "damages": list(damages),
      "lost_lsns": .array(
        lost.map { ["from": .integer($0.lowerBound), "to": .integer($0.upperBound)] }),
      "records": .integer(Int64(recordCount)),
      "records_from_damaged_frames": .integer(Int64(looseRecordCount)),
      "replaced_files": list(replacedFiles),
      "kept_in": keptIn.map { .string($0) } ?? .null,
      "groups_to_materialize": list(groupsToMaterialize),
      "groups_with_losses": list(groupsWithLosses),
      "remaining_damages": list(remainingDamages),
    ]
  }

  /// A few lines to read.
  public var text: String {
    guard isNeeded else {
      return remainingDamages.isEmpty ? "nothing is damaged" : "nothing that a repair could mend"
    }
    var lines = damages.map { "damaged: \($0)" }
    if lost.isEmpty {
      lines.append("lost: nothing")
    } else {
      let ranges = lost.prefix(20).map {
        $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)"
      }
      lines.append(
        "lost: lsn " + ranges.joined(separator: ", ")
          + (lost.count > 20 ? " and \(lost.count - 20) more ranges" : "")
          + " (\(lostCount) at most; of which keys is not known)")
    }
    lines.append(
      "whole: \(recordCount) records"
        + (looseRecordCount > 0 ? ", \(looseRecordCount) of them in damaged frames" : ""))
    if !replacedFiles.isEmpty {
      lines.append(
        "\(isDone ? "replaced" : "to be replaced"): \(replacedFiles.joined(separator: ", "))")
    }
    if let keptIn { lines.append("kept in '\(keptIn)'") }
    if !groupsToMaterialize.isEmpty {
      lines.append(
        "lost records that are in the offline tables come back by: "
          + groupsToMaterialize.map { "fstore materialize \($0)" }.joined(separator: "; ")
          + "\nuntil then a key whose newest record is lost answers with the one before it")
    }
    if !groupsWithLosses.isEmpty {
      lines.append(
        "in no table either are lost records, if there were any, of: "
          + groupsWithLosses.joined(separator: ", "))
    }
    return lines.joined(separator: "\n")
  }
}
