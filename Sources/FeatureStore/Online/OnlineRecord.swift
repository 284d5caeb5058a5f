public import FeatureModel
internal import OnlineStore

/// The record that answers for a key, read in place: a feature is decoded when it is asked for, and only
/// strings and `value` allocate.
///
/// Features go by their position in the definition. A result of nil is null; of a record that is expired or
/// deleted everything is null, and `status` says which. Reading a feature as another type than its own
/// throws `.invalidArgument`, a damaged row `.corrupt`.
public struct OnlineRecord: ~Escapable {
  private let view: RecordView
  private let group: OnlineGroup
  /// `.present`, `.expired` or `.deleted`.
  public let status: FeatureAnswer.Status

  @_lifetime(copy view)
  init(_ view: consuming RecordView, _ group: OnlineGroup, _ status: FeatureAnswer.Status) {
    self.view = view
    self.group = group
    self.status = status
  }

  /// Microseconds since 1970-01-01T00:00:00Z, as the next.
  public var eventTime: Int64 { view.eventTime }
  /// When the store accepted the record.
  public var writeTime: Int64 { view.writeTime }
  /// The last moment at which the record counts, whatever its group's ttl; nil for no limit of its own.
  public var expiresAt: Int64? { view.expiresAt }
  public var lsn: Int64 { view.lsn }
  /// The version of the group's definition under which the record was written.
  public var schemaVersion: UInt32 { view.schemaVersion }

  public func isNull(_ feature: Int) throws(FeatureStoreError) -> Bool {
    guard try isReadable(feature, "a value", { _ in true }) else { return true }
    do { return try group.reader.isNull(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  public func boolean(_ feature: Int) throws(FeatureStoreError) -> Bool? {
    guard try isReadable(feature, "a boolean", { $0 == .boolean }) else { return nil }
    do { return try group.reader.boolean(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  /// An int, or a date in days since 1970-01-01.
  public func int32(_ feature: Int) throws(FeatureStoreError) -> Int32? {
    let isReadable = try isReadable(feature, "a 32-bit integer") { $0 == .int || $0 == .date }
    guard isReadable else { return nil }
    do { return try group.reader.int32(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  /// A long, or a timestamp in microseconds since 1970-01-01T00:00:00Z.
  public func int64(_ feature: Int) throws(FeatureStoreError) -> Int64? {
    let isReadable = try isReadable(feature, "a 64-bit integer") {
      $0 == .long || $0 == .timestamp
    }
    guard isReadable else { return nil }
    do { return try group.reader.int64(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  public func float(_ feature: Int) throws(FeatureStoreError) -> Float? {
    guard try isReadable(feature, "a float", { $0 == .float }) else { return nil }
    do { return try group.reader.float(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  public func double(_ feature: Int) throws(FeatureStoreError) -> Double? {
    guard try isReadable(feature, "a double", { $0 == .double }) else { return nil }
    do { return try group.reader.double(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  /// The unscaled value of a decimal.
  public func decimal(_ feature: Int) throws(FeatureStoreError) -> Int128? {
    let isReadable = try isReadable(feature, "a decimal") { type in
      if case .decimal = type { true } else { false }
    }
    guard isReadable else { return nil }
    do { return try group.reader.decimal(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  public func string(_ feature: Int) throws(FeatureStoreError) -> String? {
    guard try isReadable(feature, "a string", { $0 == .string }) else { return nil }
    guard case .string(let text) = try value(feature) else { return nil }
    return text
  }

  /// The bytes of a string, of binary, of a uuid, or of a list: its elements one behind the other,
  /// little-endian, if they have a fixed width. Valid as long as the record is.
  @_lifetime(copy self)
  public func bytes(_ feature: Int) throws(FeatureStoreError) -> RawSpan? {
    let isReadable = try isReadable(feature, "bytes") { type in
      switch type {
      case .string, .binary, .uuid, .list: true
      default: false
      }
    }
    guard isReadable else { return nil }
    do { return try group.reader.bytes(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  /// Copies the elements of a list of floats, an embedding for example, into `target`; returns how many
  /// the list has, or nil for null. Those for which there is no room are left out.
  @_lifetime(target: copy target)
  public func copyFloats(
    _ feature: Int, to target: inout MutableSpan<Float>
  ) throws(FeatureStoreError) -> Int? {
    let isReadable = try isReadable(feature, "a list of floats") { type in
      if case .list(.float, _) = type { true } else { false }
    }
    guard isReadable else { return nil }
    do { return try group.reader.copyFloats(feature, in: view.row, to: &target) } catch {
      throw named(error, feature)
    }
  }

  /// A feature of any type; allocates for strings, binary, uuids and lists.
  public func value(_ feature: Int) throws(FeatureStoreError) -> FeatureValue {
    guard try isReadable(feature, "a value", { _ in true }) else { return .null }
    do { return try group.reader.value(feature, in: view.row) } catch {
      throw named(error, feature)
    }
  }

  /// Whether there is a row to read the feature from; throws if it has no such type.
  @inline(__always) private func isReadable(
    _ feature: Int, _ kind: String, _ fits: (FeatureType) -> Bool
  ) throws(FeatureStoreError) -> Bool {
    let features = group.reader.features
    guard features.indices.contains(feature) else {
      throw FeatureStoreError(
        .invalidArgument, "feature group '\(group.name)' has no feature at \(feature)")
    }
    guard fits(features[feature].type) else {
      throw FeatureStoreError(
        .invalidArgument,
        "\(group.name):\(features[feature].name) is \(features[feature].type), not \(kind)")
    }
    return status == .present
  }

  private func named(_ error: FeatureModelError, _ feature: Int) -> FeatureStoreError {
    var failure = FeatureStoreError(error)
    failure.message =
      "\(group.name):\(group.reader.features[feature].name), lsn \(lsn): \(error.message)"
    return failure
  }
}
