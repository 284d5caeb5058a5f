import Iceberg
import JSON
import Storage

/// Table metadata: an error, or metadata that is written and read as itself, and that can be asked.
func fuzzMetadata(_ bytes: [UInt8]) {
  let metadata: TableMetadata
  do { metadata = try TableMetadata(fileContent: bytes) } catch { return }
  do {
    let again = try TableMetadata(json: metadata.json)
    require(again == metadata, "\(metadata.json.text()) is read as \(again.json.text())")
  } catch { fail("\(metadata.json.text()) cannot be read: \(error)") }
  _ = metadata.currentSchema.allFieldIDs
  _ = metadata.ancestors(of: metadata.currentSnapshotID)
  _ = metadata.snapshot(asOfMilliseconds: .max)
  do {
    let options = try ExpireSnapshotsOptions(
      nowMilliseconds: 1_800_000_000_000, tableProperties: metadata.properties)
    let plan = try ExpireSnapshotsPlan(metadata, options)
    require(
      metadata.currentSnapshotID.map { !plan.expiredSnapshotIDs.contains($0) } ?? true,
      "the current snapshot expires")
    _ = try metadata.applying(plan.updates, nowMilliseconds: 0, previousLocation: "file:///m.json")
  } catch {}
}

/// Manifests (after an even byte) and manifest lists: an error or values. Checksums are made right, names
/// are not looked at.
func fuzzManifest(_ bytes: [UInt8]) {
  guard let kind = bytes.first else { return }
  let file = mended(Array(bytes.dropFirst()))
  do {
    if kind & 1 == 1 {
      for manifest in try ManifestList.read(file) {
        for partition in manifest.partitions ?? [] { _ = partition.lowerBound?.count }
      }
      return
    }
    var manifest = ManifestFile(
      path: "file:///m.avro", length: Int64(file.count), partitionSpecID: 0, sequenceNumber: 3,
      minSequenceNumber: 1, addedSnapshotID: 9)
    manifest.content = kind & 2 == 0 ? .data : .deletes
    var reader = try ManifestReader(
      bytes: file, manifest: manifest, statistics: kind & 4 == 0 ? .all : .none)
    var count = 0
    while let entry = try reader.next(), count < 1000 {
      count += 1
      for field in reader.schema.fields {
        _ = entry.dataFile.lowerBound(of: field)
        _ = entry.dataFile.upperBound(of: field)
      }
    }
  } catch {}
}

/// An Avro file with the checksum that its header has, if it has one.
private func mended(_ file: [UInt8]) -> [UInt8] {
  let key = Array("fstore.checksum".utf8) + [16]
  var file = file
  guard file.count > key.count + 8 else { return file }
  guard
    let start = (0..<min(file.count - key.count - 8, 4096)).first(where: { index in
      file[index] == key[0] && file[index..<index + key.count].elementsEqual(key)
    })
  else { return file }
  let place = start + key.count..<start + key.count + 8
  file.replaceSubrange(place, with: [UInt8](repeating: UInt8(ascii: "0"), count: 8))
  let digits = String(CRC32C(of: file.rawSpan).value, radix: 16)
  let text = String(repeating: "0", count: 8 - digits.utf8.count) + digits
  file.replaceSubrange(place, with: Array(text.utf8))
  return file
}

/// Puffin files (after an even byte) and the bitmaps of deletion vectors, in a frame that is right: an error,
/// or positions that are written and read as themselves.
func fuzzPuffin(_ bytes: [UInt8]) {
  guard let kind = bytes.first else { return }
  let content = Array(bytes.dropFirst())
  do {
    if kind & 1 == 0 {
      let tail: [UInt8] = []
      let blobs = try Puffin.blobs(content + tail)
      for blob in blobs {
        let end = blob.byteOffset + blob.sizeBytes
        _ = try DeletionVector.decode(Array(content[Int(blob.byteOffset)..<Int(end)]))
      }
      return
    }
    let positions = try DeletionVector.decode(framed(content))
    // Runs may say much in few bytes; all of it is looked at only where it is not too much.
    guard positions.count < 100_000 else { return }
    let list = positions.positions
    require(list.count == Int(positions.count), "\(list.count) positions of \(positions.count)")
    require(list == list.sorted(), "positions are not in order")
    require(list.allSatisfy { positions.contains($0) }, "a position is not found")
    let again = try DeletionVector.decode(DeletionVector.encode(positions))
    require(again == positions, "positions are read as others")
  } catch {}
}

/// The bitmap as a blob: length, magic number and checksum are right.
private func framed(_ bitmap: [UInt8]) -> [UInt8] {
  func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }
  let covered: [UInt8] = [0xD1, 0xD3, 0x39, 0x64] + bitmap
  var checksum = UInt32.max
  for byte in covered {
    checksum = crcTable[Int((checksum ^ UInt32(byte)) & 0xFF)] ^ (checksum >> 8)
  }
  return bigEndian(UInt32(covered.count)) + covered + bigEndian(~checksum)
}

private let crcTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in
    value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1
  }
}

/// The text of a filter: an error, or a filter whose text is read as the same.
func fuzzFilter(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  let filter: FilterExpression
  do { filter = try FilterExpression(parsing: text) } catch { return }
  do {
    let again = try FilterExpression(parsing: filter.description)
    require(again == filter, "\(filter) is read as \(again)")
  } catch {
    // What is shorter in the text may be longer when it is written anew, and so too long.
    require(filter.description.utf8.count > 1 << 16, "\(filter) cannot be read: \(error)")
  }
}
