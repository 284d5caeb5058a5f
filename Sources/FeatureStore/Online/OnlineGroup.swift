public import FeatureModel
internal import OnlineStore

/// A feature group prepared for online reads and writes of typed values: what services keep and use. Names
/// are resolved once; a record is written value by value and read in place, with no text between, no
/// allocation per feature, and no lock for reads.
///
/// Made by `FeatureStore.online(_:)` for the group's definition as it is then; after `addFeatures` make
/// another one to see the new features. After the store's `close` writes are refused. Thread-safe.
public final class OnlineGroup: Sendable {
  public let definition: FeatureGroup
  let store: FeatureStore
  let log: OnlineStore
  let reader: RowReader
  let layout: RowLayout

  init(_ definition: FeatureGroup, _ store: FeatureStore, _ log: OnlineStore) {
    self.definition = definition
    self.store = store
    self.log = log
    // Features may be added while this is in use; their records are read by the ones that it knows.
    reader = RowReader(definition, acceptsNewerRows: true)
    layout = RowLayout(definition)
  }

  public var name: String { definition.name }

  /// The position of a feature, by which records are read and written. Throws `.notFound`, naming the
  /// nearest feature.
  public func position(of feature: String) throws(FeatureStoreError) -> Int {
    do { return try definition.featureIndex(feature) } catch { throw FeatureStoreError(error) }
  }

  // MARK: Keys

  /// The key of an entity from its identifiers' values, in their order. Throws `.invalidInput` when they do
  /// not fit, as the others do.
  public func key(_ values: FeatureValue...) throws(FeatureStoreError) -> EntityKey {
    try key { writer in
      for value in values { writer.append(value) }
    }
  }

  /// The key of an entity that one string identifies.
  public func key(_ value: String) throws(FeatureStoreError) -> EntityKey {
    try key { $0.append(value) }
  }

  /// The key of an entity that one int or long identifies.
  public func key(_ value: Int) throws(FeatureStoreError) -> EntityKey {
    try key { $0.append(value) }
  }

  /// The key that `fill` writes, identifier by identifier; one allocation.
  public func key(_ fill: (inout KeyWriter) -> Void) throws(FeatureStoreError) -> EntityKey {
    var writer = KeyWriter(definition)
    fill(&writer)
    do { return try writer.finish() } catch { throw FeatureStoreError(error) }
  }

  func check(_ key: EntityKey) throws(FeatureStoreError) {
    guard key.groupID == definition.id else {
      throw FeatureStoreError(
        .invalidArgument, "the key is none of '\(name)': it was made for another feature group")
    }
  }
}

extension FeatureStore {
  /// Prepares a group for online reads and writes of typed values.
  ///
  /// Throws `.notFound`, `.invalidArgument` for a group that is offline only, `.readOnly` for a store that
  /// was opened for its offline tables.
  public func online(_ groupName: String) throws(FeatureStoreError) -> OnlineGroup {
    let group = try group(groupName)
    try requireOnline(group)
    return OnlineGroup(group, self, try log(for: "use '\(groupName)' online"))
  }
}
