public import Iceberg
internal import Storage

extension FeatureStore {
  /// How a group's offline table is doing: sizes of its files, deletes, growth, and what optimize would gain.
  /// Costs a plan of the table.
  ///
  /// - Parameter options: of the optimize that is weighed, by Iceberg's names.
  public func health(
    _ groupName: String, options: [String: String] = [:]
  ) throws(FeatureStoreError) -> TableHealth {
    do {
      return try TableHealth(try offlineTable(groupName), options: options)
    } catch { throw FeatureStoreError(error) }
  }

  /// The store's clock: microseconds since 1970.
  public var nowMicroseconds: Int64 { clock.nowMicroseconds() }
}
