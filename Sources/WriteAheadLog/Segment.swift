internal import Storage

/// One file of the log. Immutable but for its bytes, so any thread may read it.
final class Segment: Sendable {
  let header: SegmentHeader
  let file: any File
  /// How many bytes the file was given; a frame never grows it.
  let capacityBytes: Int
  private let mapping = Lock<MappedBytes?>(nil)

  init(header: SegmentHeader, file: any File, capacityBytes: Int) {
    self.header = header
    self.file = file
    self.capacityBytes = capacityBytes
  }

  /// The first `count` bytes as memory, mapped once; nil where the file cannot be mapped.
  func mapped(count: Int) -> MappedBytes? {
    mapping.withLock { mapping in
      if let mapping, mapping.count >= count { return mapping }
      mapping = file.map(count: min(count, capacityBytes))
      return mapping
    }
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

  /// Creates a segment that already holds `frames`, filling it here and now.
  static func create(
    _ header: SegmentHeader, frames: [UInt8], capacityBytes: Int, isFilled: Bool,
    directory: String, fileSystem: any FileSystem
  ) throws(StorageError) -> Segment {
    let blank = try BlankSegment.prepare(
      capacityBytes: max(capacityBytes, SegmentHeader.sizeBytes + frames.count),
      isFilled: isFilled, directory: directory, fileSystem: fileSystem)
    return try blank.begin(header, frames: frames, directory: directory, fileSystem: fileSystem)
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

/// A file for a segment, all zeros, that has no name in the log yet.
///
/// A sync of space that was written before does not have to change the file's metadata: it takes half
/// the time. That is worth writing the zeros where each append waits for a sync, and not where many
/// appends share one: there the file is only given its space. A removed segment's file is not used again: without filling it anew, what an unfinished
/// write left could not be told from what the file held before, and to fill it costs what a new file
/// costs.
struct BlankSegment {
  let file: any File
  let path: String
  let capacityBytes: Int

  private static let chunkBytes = 1 << 20

  /// Makes a new file, and fills it if it is to be filled. Given `isStopped`, it syncs each piece, so that the syncs of appends beside it
  /// wait for one piece at most, and asks after each whether to stop; then it throws `.notFound`.
  static func prepare(
    capacityBytes: Int, isFilled: Bool, directory: String, fileSystem: any FileSystem,
    isStopped: (() -> Bool)? = nil
  ) throws(StorageError) -> BlankSegment {
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    let path = StoragePath.join(directory, ".segment.\(unique).tmp")
    let file = try fileSystem.open(path, .create)
    do throws(StorageError) {
      // Says at once whether there is room, and keeps the file in one piece.
      try file.allocate(sizeBytes: Int64(capacityBytes))
      let zeros = [UInt8](repeating: 0, count: min(capacityBytes, chunkBytes))
      var offset = 0
      while isFilled, offset < capacityBytes {
        let count = min(zeros.count, capacityBytes - offset)
        try file.write(zeros.rawSpan.extracting(first: count), at: Int64(offset))
        offset += count
        guard let isStopped else { continue }
        try file.synchronizeData()
        if isStopped() {
          throw StorageError(.notFound, operation: "fill", path: path, message: "closing")
        }
      }
      return BlankSegment(file: file, path: path, capacityBytes: capacityBytes)
    } catch {
      BlankSegment(file: file, path: path, capacityBytes: capacityBytes).discard(fileSystem)
      throw error
    }
  }

  /// Writes the header and the frames, syncs, and only then gives the name. So whoever sees the name
  /// sees a whole header, and everything in it is durable.
  func begin(
    _ header: SegmentHeader, frames: [UInt8], directory: String, fileSystem: any FileSystem
  ) throws(StorageError) -> Segment {
    let named = StoragePath.join(directory, Segment.name(header.segment))
    try file.write(header.encoded() + frames, at: 0)
    try file.synchronizeData()
    try file.close()
    try fileSystem.rename(path, to: named, replacing: false)
    try fileSystem.synchronizeDirectory(directory)
    return Segment(
      header: header, file: try fileSystem.open(named, .readWrite), capacityBytes: capacityBytes)
  }

  func discard(_ fileSystem: any FileSystem) {
    // A temporary file left behind harms nobody; the next opening removes it.
    do throws(StorageError) {
      try file.close()
      try fileSystem.removeFile(path)
    } catch {}
  }
}
