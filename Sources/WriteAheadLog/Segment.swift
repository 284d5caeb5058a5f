internal import Storage

/// One file of the log. Immutable but for its bytes, so any thread may read it.
final class Segment: Sendable {
  let header: SegmentHeader
  let file: any File
  /// How many bytes the file was given; a frame never grows it.
  let capacityBytes: Int

  init(header: SegmentHeader, file: any File, capacityBytes: Int) {
    self.header = header
    self.file = file
    self.capacityBytes = capacityBytes
  }

  static func name(_ segment: UInt32) -> String {
    let digits = String(segment, radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits + ".log"
  }

  /// The number in a segment's name; nil for every other file.
  static func number(ofName name: String) -> UInt32? {
    guard name.utf8.count == 12, name.hasSuffix(".log"),
      let number = UInt32(name.prefix(8), radix: 16), Segment.name(number) == name
    else { return nil }
    return number
  }

  /// Creates a segment that already holds `frames`: zero-filled, with its header, synced, and only
  /// then named. So whoever sees the name sees a whole header, and everything in it is durable.
  static func create(
    _ header: SegmentHeader, frames: [UInt8], capacityBytes: Int, directory: String,
    fileSystem: any FileSystem
  ) throws(StorageError) -> Segment {
    let path = StoragePath.join(directory, name(header.segment))
    let capacity = max(capacityBytes, SegmentHeader.sizeBytes + frames.count)
    try fileSystem.publish(path, replacing: false) { file throws(StorageError) in
      try file.write(header.encoded() + frames, at: 0)
      var offset = SegmentHeader.sizeBytes + frames.count
      let zeros = [UInt8](repeating: 0, count: min(capacity - offset, 1 << 20))
      // A sync of space that was written before does not have to change the file's metadata.
      while offset < capacity {
        let count = min(zeros.count, capacity - offset)
        try file.write(zeros.rawSpan.extracting(first: count), at: Int64(offset))
        offset += count
      }
    }
    let file = try fileSystem.open(path, .readWrite)
    return Segment(header: header, file: file, capacityBytes: capacity)
  }

  static func open(
    _ number: UInt32, directory: String, mode: OpenMode, fileSystem: any FileSystem
  ) throws(WriteAheadLogError) -> Segment {
    let path = StoragePath.join(directory, name(number))
    let file: any File
    let size: Int64
    let bytes: [UInt8]
    do {
      file = try fileSystem.open(path, mode)
      size = try file.size()
      // What the page cache holds of a failed write is not what the disk holds.
      if case .readWrite = mode { try file.discardCache() }
      bytes = try file.read(count: SegmentHeader.sizeBytes, at: 0)
    } catch { throw .storage(error) }
    let (header, reason) = SegmentHeader.decode(bytes.rawSpan)
    guard let header else { throw .corrupt(path: path, byteOffset: 0, reason: reason) }
    guard header.segment == number else {
      throw .corrupt(path: path, byteOffset: 12, reason: "it holds segment \(header.segment)")
    }
    return Segment(header: header, file: file, capacityBytes: Int(size))
  }
}
