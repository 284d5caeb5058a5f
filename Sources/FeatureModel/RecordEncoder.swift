public import Columnar

/// Checks the records of a batch against a group's definition and encodes the keys and features of
/// those that fit.
public struct RecordEncoder: Sendable {
  public let group: FeatureGroup
  private let keyCodec: KeyCodec
  private let rowCodec: RowCodec

  public init(_ group: FeatureGroup) {
    self.group = group
    keyCodec = KeyCodec(group)
    rowCodec = RowCodec(group)
  }

  /// A record that was refused, by its row in the batch, and why.
  public struct Refusal: Hashable, Sendable {
    public var row: Int
    public var error: FeatureModelError

    public init(row: Int, error: FeatureModelError) {
      self.row = row
      self.error = error
    }
  }

  /// Keys, rows and event times of a batch, one each for every row; `refusals` says, in the order of
  /// rows, which of them must not be used.
  public struct Encoded: Sendable {
    public var keys: EncodedRows
    public var rows: EncodedRows
    public var eventTimes: [Int64]
    public var refusals: [Refusal]
  }

  /// Encodes a batch whose columns are those of `FeatureGroup.recordSchema`, in its order.
  ///
  /// - Precondition: the columns have the schema's types.
  public func encode(_ columns: [Column], rowCount: Int) -> Encoded {
    let keyCount = group.recordIdentifiers.count
    precondition(columns.count == keyCount + 1 + group.features.count, "one column a field")
    var refusals: [Int: FeatureModelError] = [:]
    for (identifier, column) in zip(group.recordIdentifiers, columns) {
      refuseNulls(column, identifier.name, "record identifier", &refusals)
    }
    refuseNulls(columns[keyCount], group.eventTimeName, "event time", &refusals)
    for (feature, column) in zip(group.features, columns[(keyCount + 1)...]) {
      refuseLists(column, feature, &refusals)
    }
    let keys = keyCodec.encode(columns[..<keyCount], rowCount: rowCount)
    for row in 0..<rowCount where keys[row].byteCount > KeyCodec.maximumByteCount {
      refusals[row] = FeatureModelError(
        .invalidValue, "the entity key takes more than \(KeyCodec.maximumByteCount) bytes")
    }
    let eventTimeColumn = columns[keyCount]
    let times = eventTimeColumn.values(as: Int64.self)
    var eventTimes: [Int64] = []
    eventTimes.reserveCapacity(rowCount)
    for row in 0..<rowCount { eventTimes.append(times[row]) }
    return Encoded(
      keys: keys, rows: rowCodec.encode(columns[(keyCount + 1)...], rowCount: rowCount),
      eventTimes: eventTimes,
      refusals: refusals.map { Refusal(row: $0.key, error: $0.value) }.sorted { $0.row < $1.row })
  }

  private func refuseNulls(
    _ column: Column, _ name: String, _ role: String, _ refusals: inout [Int: FeatureModelError]
  ) {
    guard column.nullCount > 0 else { return }
    for row in 0..<column.count where column.isNull(row) && refusals[row] == nil {
      refusals[row] = FeatureModelError(
        .missingValue, "the \(role) '\(name)' is missing", column: name)
    }
  }

  /// Lists must have their dimension, and no nulls among their elements.
  private func refuseLists(
    _ column: Column, _ feature: Feature, _ refusals: inout [Int: FeatureModelError]
  ) {
    guard case .list(_, let dimension) = feature.type else { return }
    let offsets = column.offsets
    let elements = column.children[0]
    guard dimension != nil || elements.nullCount > 0 else { return }
    for row in 0..<column.count where !column.isNull(row) && refusals[row] == nil {
      let range = Int(offsets[row])..<Int(offsets[row + 1])
      if let dimension, range.count != dimension {
        refusals[row] = FeatureModelError(
          .invalidValue, "'\(feature.name)' has \(range.count) elements, not \(dimension)",
          column: feature.name)
      } else if elements.nullCount > 0, range.contains(where: { elements.isNull($0) }) {
        refusals[row] = FeatureModelError(
          .invalidValue, "'\(feature.name)' has a null element", column: feature.name)
      }
    }
  }
}
