internal import FeatureModel
internal import FileFormats
internal import OnlineStore
internal import Storage

// What differs, in words.
extension ParityCheck {
  func time(_ microseconds: Int64) -> String { ValueText.timestamp(microseconds: microseconds) }

  /// What is wrong with the online copy of an offline record; nil for nothing.
  func difference(_ offline: StoredEntry, _ online: StoredEntry) -> String? {
    let (left, right) = (offline.entry, online.entry)
    if left.expiresAt != right.expiresAt {
      func text(_ time: Int64?) -> String { time.map { self.time($0) } ?? "never" }
      return "the same record (lsn \(offline.lsn)) expires \(text(left.expiresAt)) offline, "
        + "\(text(right.expiresAt)) online"
    }
    if left.kind != right.kind {
      // Cleaning empties a record whose own expiry has come.
      if right.kind == .tombstone, let expiry = right.expiresAt,
        expiry < store.clock.nowMicroseconds()
      {
        return nil
      }
      return "the same record (lsn \(offline.lsn)) is "
        + (left.kind == .tombstone ? "deleted offline, not online" : "deleted online, not offline")
    }
    if left.kind == .tombstone || left.row == right.row { return nil }
    for index in group.features.indices where value(index, offline) != value(index, online) {
      return "the same record (lsn \(offline.lsn)) has other values"
    }
    return nil
  }

  /// A feature's value; nil when the row cannot be read. Of floating point numbers the bits count.
  private func value(_ index: Int, _ stored: StoredEntry?) -> ComparedValue? {
    guard let stored, stored.entry.kind == .put else { return ComparedValue(.null) }
    let reader = RowReader(group, acceptsNewerRows: true)
    do { return ComparedValue(try reader.value(index, in: stored.entry.row.rawSpan)) } catch {
      return nil
    }
  }

  /// Lists a difference: once for each feature whose values differ, or once for the record.
  func note(
    _ key: [UInt8], offline: StoredEntry?, online: StoredEntry?,
    _ newer: ParityReport.Difference.Newer, _ reason: String, _ report: inout ParityReport
  ) throws {
    let identifiers = try KeyCodec(group).values(key)
    var isListed = false
    for (index, feature) in group.features.enumerated() {
      let (left, right) = (value(index, offline), value(index, online))
      if left == right { continue }
      isListed = true
      report.note(
        ParityReport.Difference(
          group: group.name, key: identifiers, feature: feature.name, offline: left?.value ?? .null,
          online: right?.value ?? .null, newer: newer, reason: reason))
    }
    if isListed { return }
    report.note(
      ParityReport.Difference(
        group: group.name, key: identifiers, feature: nil, offline: .null, online: .null,
        newer: newer, reason: reason))
  }
}

/// A value that equals itself, NaN too, and nothing else: 0.0 is not -0.0.
struct ComparedValue: Equatable {
  let value: FeatureValue

  init(_ value: FeatureValue) { self.value = value }

  static func == (left: ComparedValue, right: ComparedValue) -> Bool {
    switch (left.value, right.value) {
    case (.float(let left), .float(let right)): left.bitPattern == right.bitPattern
    case (.double(let left), .double(let right)): left.bitPattern == right.bitPattern
    case (.list(let left), .list(let right)):
      left.map { ComparedValue($0) } == right.map { ComparedValue($0) }
    default: left.value == right.value
    }
  }
}
