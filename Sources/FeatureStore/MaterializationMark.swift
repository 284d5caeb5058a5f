internal import JSON
internal import Storage

/// How far a materialization has come, in `jobs/`: where the next one goes on after an interruption. Says
/// something only of the table as it was; without it everything is looked at again, and nothing goes wrong.
struct MaterializationMark {
  var tableUUID: String
  var snapshotID: Int64
  /// What is left to do; the last one first.
  var parts = [KeyPart()]
  /// Data files, in the order of their paths, whose records of the part in work are online and on disk.
  var filesDone = 0

  init(tableUUID: String, snapshotID: Int64) {
    self.tableUUID = tableUUID
    self.snapshotID = snapshotID
  }

  private static func path(_ store: FeatureStore, _ groupID: UInt32) -> String {
    StoragePath.join(StoragePath.join(store.directory, "jobs"), "materialize-\(groupID)")
  }

  /// nil when there is none that can be understood.
  init?(_ store: FeatureStore, _ groupID: UInt32) throws(StorageError) {
    let path = Self.path(store, groupID)
    guard try store.fileSystem.information(path) != nil else { return nil }
    let bytes = try store.fileSystem.readFile(path, limitBytes: 1 << 20)
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch { return nil }
    guard let tableUUID = json["table"]?.stringValue,
      let snapshotID = json["snapshot_id"]?.int64Value,
      let filesDone = json["files_done"]?.int64Value, let files = Int(exactly: filesDone),
      files >= 0, let list = json["parts"]?.arrayValue
    else { return nil }
    self.init(tableUUID: tableUUID, snapshotID: snapshotID)
    self.filesDone = files
    parts = []
    for item in list {
      guard let pair = item.arrayValue, pair.count == 2, let bits = pair[0].int64Value,
        0...Int64(KeyPart.bitLimit) ~= bits, let value = pair[1].int64Value,
        0..<(1 << bits) ~= value
      else { return nil }
      parts.append(KeyPart(bitCount: Int(bits), value: UInt32(value)))
    }
  }

  func save(_ store: FeatureStore, _ groupID: UInt32) throws(StorageError) {
    let json: JSONValue = [
      "table": .string(tableUUID), "snapshot_id": .integer(snapshotID),
      "parts": .array(parts.map { [.integer(Int64($0.bitCount)), .integer(Int64($0.value))] }),
      "files_done": .integer(Int64(filesDone)),
    ]
    try store.fileSystem.publish(
      json.utf8(pretty: false), at: Self.path(store, groupID), replacing: true)
  }

  static func remove(_ store: FeatureStore, _ groupID: UInt32) throws(StorageError) {
    try store.fileSystem.removeFile(path(store, groupID))
  }
}
