internal import FeatureModel
internal import Iceberg

/// How far a table has followed the log, as the table itself records it.
///
/// Set in the same metadata commit as the snapshot that brings the records, so it is exactly what is
/// in the table; a property, so that neither expiry nor another engine's rewrite loses it. Qualified
/// by the store, for another store's numbers mean nothing here.
struct OfflinePosition: Hashable, Sendable {
  static let lsnProperty = "fstore.lsn"
  static let storeProperty = "fstore.store-id"

  /// Every record of the group up to this log sequence number is in the table.
  var lsn: Int64
  var storeID: String

  init(lsn: Int64, storeID: String) {
    self.lsn = lsn
    self.storeID = storeID
  }

  var properties: [String: String] {
    [Self.lsnProperty: "\(lsn)", Self.storeProperty: storeID]
  }

  /// What the table says. A table without a position is refused, never assumed to be at zero.
  init(_ metadata: TableMetadata) throws(IcebergError) {
    guard let text = metadata.properties[Self.lsnProperty], let lsn = Int64(text),
      let storeID = metadata.properties[Self.storeProperty]
    else {
      throw IcebergError(
        .validationFailed,
        "the table does not say how far it has followed a log (property \(Self.lsnProperty)): "
          + "it was not made by a feature store, or the property was removed")
    }
    self.lsn = lsn
    self.storeID = storeID
  }

  /// The table's position, which must be one in this store's log.
  @discardableResult
  static func check(
    _ metadata: TableMetadata, storeID: String, group: FeatureGroup
  ) throws(IcebergError) -> OfflinePosition {
    let position = try OfflinePosition(metadata)
    guard position.storeID == storeID else {
      throw IcebergError(
        .validationFailed,
        "the offline table of '\(group.name)' follows the log of another store, "
          + "\(position.storeID), not of this one, \(storeID)")
    }
    return position
  }
}
