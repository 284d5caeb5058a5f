internal import JSON
internal import Storage

/// How far the log had been flushed, and where each table stood then: the file `jobs/offline-position`,
/// replaced after every flush, before the log is cleaned up to there.
///
/// It saves reading the log from the position of the group that got records least recently: as long as
/// every table stands where it stood, none lacks anything up to `lsn`. It also tells a table that was put
/// back to an older state, which lacks records that the log may no longer have. Without the file a flush
/// only reads more; so whatever is not as it was written is ignored.
struct FlushedPositions: Hashable, Sendable {
  struct Table: Hashable, Sendable {
    var groupID: UInt32
    var uuid: String
    /// Every record of the group up to here is in the table.
    var lsn: Int64
  }

  static let formatVersion: Int64 = 2
  private static let sizeLimitBytes = 64 << 20

  var storeID: String
  /// No table needs the log up to here.
  var lsn: Int64
  var tables: [Table]

  static func path(_ directory: String) -> String {
    StoragePath.join(StoragePath.join(directory, "jobs"), "offline-position")
  }

  /// nil when there is none, or none of this store as it was written.
  static func read(
    directory: String, storeID: String, fileSystem: any FileSystem
  ) throws(StorageError) -> FlushedPositions? {
    let bytes: [UInt8]
    do throws(StorageError) {
      bytes = try fileSystem.readFile(path(directory), limitBytes: sizeLimitBytes)
    } catch {
      // A file that is too large is not what was written either.
      if error.kind == .notFound || error.errorNumber == 0 { return nil }
      throw error
    }
    guard let found = FlushedPositions(parsing: bytes), found.storeID == storeID else { return nil }
    return found
  }

  func publish(directory: String, fileSystem: any FileSystem) throws(StorageError) {
    try fileSystem.publish(encoded, at: FlushedPositions.path(directory), replacing: true)
  }

  /// Whether every one of these tables stands where it stood, or has been made or filled since. Then none
  /// needs the log up to `lsn`.
  func holds(for present: [Table]) -> Bool {
    let known = Dictionary(tables.map { ($0.groupID, $0) }) { first, _ in first }
    return present.allSatisfy { table in
      // No record of the group lies between where its table stood and `lsn`.
      table == known[table.groupID] || table.lsn >= lsn
    }
  }

  /// Where a table stood, if it has fallen behind that.
  func lsn(before table: Table) -> Int64? {
    tables.first { $0.groupID == table.groupID && $0.lsn > table.lsn }?.lsn
  }

  /// What is wrong with a table that was put back further than the log reaches.
  static func lossMessage(
    _ group: String, _ lsn: Int64, before: Int64, firstLSN: Int64
  ) -> String {
    setBackMessage(group, lsn, before: before)
      + ", and the log, which begins at \(firstLSN), lacks records between"
  }

  static func setBackMessage(_ group: String, _ lsn: Int64, before: Int64) -> String {
    "the offline table of '\(group)' has records up to lsn \(lsn), and had them up to \(before): it was "
      + "put back to an older state"
  }
}

extension FlushedPositions {
  var encoded: [UInt8] {
    let json: JSONValue = [
      "format_version": .integer(Self.formatVersion), "store_id": .string(storeID),
      "lsn": .integer(lsn),
      "tables": .array(
        tables.map {
          [
            "group": .integer(Int64($0.groupID)), "uuid": .string($0.uuid),
            "lsn": .integer($0.lsn),
          ]
        }),
    ]
    return SealedJSON.text(json, pretty: false)
  }

  /// nil for anything that is not as it was written.
  init?(parsing bytes: [UInt8]) {
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch { return nil }
    guard SealedJSON.isWhole(bytes, json, pretty: false) == true,
      json["format_version"]?.int64Value == Self.formatVersion,
      let storeID = json["store_id"]?.stringValue, let lsn = json["lsn"]?.int64Value, lsn >= 0,
      let list = json["tables"]?.arrayValue
    else { return nil }
    self.init(storeID: storeID, lsn: lsn, tables: [])
    for table in list {
      guard let id = table["group"]?.int64Value, let groupID = UInt32(exactly: id),
        let uuid = table["uuid"]?.stringValue, let lsn = table["lsn"]?.int64Value
      else { return nil }
      tables.append(Table(groupID: groupID, uuid: uuid, lsn: lsn))
    }
  }
}
