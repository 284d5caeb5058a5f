import JSON

/// The text of a table's metadata, as its file has it.
///
/// A table's history is most of that text and grows with every commit, while each entry of it never
/// changes. So the text of a version's history is kept with the version, and the next version's is made
/// from it: the cost of a commit does not grow with encoding what was encoded before.
struct MetadataText: Sendable {
  private let formatVersion: Int
  private let snapshots: EncodedArray<Snapshot>
  private let snapshotLog: EncodedArray<SnapshotLogEntry>
  private let metadataLog: EncodedArray<MetadataLogEntry>

  /// - Parameter previous: that of an earlier version of the table.
  init(_ metadata: TableMetadata, after previous: MetadataText? = nil) {
    let formatVersion = metadata.formatVersion
    self.formatVersion = formatVersion
    // The form of snapshots depends on the version.
    let known = previous?.formatVersion == formatVersion ? previous?.snapshots : nil
    snapshots = EncodedArray(metadata.snapshots, after: known) {
      $0.json(formatVersion: formatVersion)
    }
    snapshotLog = EncodedArray(metadata.snapshotLog, after: previous?.snapshotLog, encode: \.json)
    metadataLog = EncodedArray(metadata.metadataLog, after: previous?.metadataLog, encode: \.json)
  }

  /// What the file at `location` holds.
  ///
  /// - Parameter metadata: what this was made from.
  /// - Throws: `validationFailed` for more than anybody here would read again.
  func content(
    _ metadata: TableMetadata, at location: String
  ) throws(IcebergError) -> [UInt8] {
    let head = JSONValue.object(metadata.jsonBeforeSnapshots).utf8()
    let tail = JSONValue.object(metadata.jsonAfterSnapshots).utf8()
    let mark = FileNameMark.entry(location)
    let end = JSONValue.object([mark.key: .string(mark.value)]).utf8()
    var text: [UInt8] = []
    text.reserveCapacity(
      head.count + snapshots.sizeBytes + tail.count + snapshotLog.sizeBytes + metadataLog.sizeBytes
        + end.count + 256)
    // Each of the objects has a member.
    text += head.dropLast()
    snapshots.append(to: &text, name: "snapshots")
    text.append(UInt8(ascii: ","))
    text += tail.dropFirst().dropLast()
    snapshotLog.append(to: &text, name: "snapshot-log")
    metadataLog.append(to: &text, name: "metadata-log")
    text.append(UInt8(ascii: ","))
    text += end.dropFirst()
    MetadataChecksum.seal(&text)
    guard text.count <= TableMetadata.maximumSizeBytes else {
      throw IcebergError(
        .validationFailed,
        "the table's metadata would have \(text.count) bytes, of \(TableMetadata.maximumSizeBytes) that"
          + " are read: expire snapshots, or remove properties")
    }
    return text
  }
}

/// The elements of a JSON array with their texts, which versions share.
private struct EncodedArray<Element: Equatable & Sendable>: Sendable {
  private let elements: [Element]
  private var texts: [[UInt8]] = []
  /// Of the texts, with a comma for each.
  let sizeBytes: Int

  /// Encodes what is not in `previous`, whose elements are expected in the same order.
  init(_ elements: [Element], after previous: Self?, encode: (Element) -> JSONValue) {
    self.elements = elements
    // Usually all that was there is still there, and what is new comes last.
    let known = previous?.sharedPrefix(with: elements) ?? 0
    if let previous { texts = Array(previous.texts[..<known]) }
    var candidate = known
    for element in elements[known...] {
      if let previous, let found = previous.index(of: element, from: candidate) {
        texts.append(previous.texts[found])
        candidate = found + 1
      } else {
        candidate = previous?.elements.count ?? 0
        texts.append(encode(element).utf8())
      }
    }
    sizeBytes = texts.reduce(texts.count) { $0 + $1.count }
  }

  /// How many elements are the same at the beginning; spans compare them where they are.
  private func sharedPrefix(with others: [Element]) -> Int {
    let (own, others) = (elements.span, others.span)
    var count = 0
    while count < min(own.count, others.count), own[count] == others[count] { count += 1 }
    return count
  }

  private func index(of element: Element, from start: Int) -> Int? {
    elements[start...].firstIndex(of: element)
  }

  /// Appends `,"name":[...]`.
  func append(to text: inout [UInt8], name: String) {
    text += Array(#","\#(name)":["#.utf8)
    for (index, element) in texts.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      text += element
    }
    text.append(UInt8(ascii: "]"))
  }
}

extension SnapshotLogEntry {
  var json: JSONValue {
    [
      "timestamp-ms": .integer(timestampMilliseconds), "snapshot-id": .integer(snapshotID),
    ]
  }
}

extension MetadataLogEntry {
  var json: JSONValue {
    [
      "timestamp-ms": .integer(timestampMilliseconds), "metadata-file": .string(metadataFile),
    ]
  }
}
