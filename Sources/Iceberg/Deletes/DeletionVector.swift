import CZlib
import Storage

/// The blob of a deletion vector (`deletion-vector-v1`): its length and a checksum, both big-endian,
/// around a magic number and the bitmap of deleted positions.
///
///     length (4)  D1 D3 39 64  bitmap  CRC-32 (4)
public enum DeletionVector {
  static let blobType = "deletion-vector-v1"
  private static let magic: [UInt8] = [0xD1, 0xD3, 0x39, 0x64]
  /// Far above what a file of 10^9 rows needs, all deleted or not.
  static let maximumSizeBytes: Int64 = 1 << 28

  /// The positions in a blob.
  public static func decode(_ blob: [UInt8]) throws(IcebergError) -> PositionBitmap {
    guard blob.count >= 12 else { throw damaged("\(blob.count) bytes are too few") }
    guard bigEndian(blob[0..<4]) == UInt32(blob.count - 8) else {
      throw damaged("its length says \(bigEndian(blob[0..<4]))")
    }
    guard blob[4..<8].elementsEqual(magic) else { throw damaged("its magic number is another") }
    let covered = Array(blob[4..<(blob.count - 4)])
    guard checksum(covered) == bigEndian(blob[(blob.count - 4)...]) else {
      throw damaged("its checksum does not match")
    }
    return try PositionBitmap(roaring: Array(covered.dropFirst(4)))
  }

  public static func encode(_ positions: PositionBitmap) -> [UInt8] {
    let covered = magic + positions.roaring
    return bigEndian(UInt32(covered.count)) + covered + bigEndian(checksum(covered))
  }

  /// Reads the vector that a manifest's entry describes.
  static func read(_ file: DataFile, _ io: FileIO) throws(IcebergError) -> PositionBitmap {
    guard let offset = file.contentOffset, let size = file.contentSizeInBytes, offset >= 0,
      size >= 0, size <= maximumSizeBytes, offset <= Int64.max - size
    else { throw damaged("its entry has no offset or length that could be") }
    let start: [UInt8]
    let blob: [UInt8]
    do {
      let opened = try io.open(file.path)
      do {
        start = try opened.read(count: Puffin.magic.count, at: 0)
        blob = try opened.read(count: Int(size), at: offset)
        try opened.close()
      } catch { throw IcebergError(error) }
    }
    // Bare blobs, without the container, are no legal form.
    guard start == Puffin.magic else {
      throw IcebergError(.invalidMetadata, "'\(file.path)' is no Puffin file")
    }
    guard blob.count == Int(size) else { throw damaged("'\(file.path)' ends before it") }
    let positions = try decode(blob)
    guard positions.count == file.recordCount else {
      throw damaged("it has \(positions.count) positions, its entry says \(file.recordCount)")
    }
    return positions
  }

  private static func damaged(_ what: String) -> IcebergError {
    IcebergError(.invalidMetadata, "a deletion vector is damaged: \(what)")
  }

  private static func bigEndian(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe UInt32(truncatingIfNeeded: crc32_z(0, buffer.baseAddress, buffer.count))
    }
  }
}
