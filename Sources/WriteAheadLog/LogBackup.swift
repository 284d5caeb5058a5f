public import Storage

/// A file of a log's copy: its name in the log's directory, and what it holds.
public struct LogBackupFile: Sendable {
  public enum Content: Sendable {
    /// The first so many bytes of an open file, which stay as they are.
    case file(any File, sizeBytes: Int64)
    case bytes([UInt8])
  }

  public let name: String
  public let content: Content
  /// The bytes with which it begins, different for every segment ever made: two files that begin with
  /// them and have one length are equal.
  public let header: [UInt8]

  public init(name: String, content: Content, header: [UInt8]) {
    self.name = name
    self.content = content
    self.header = header
  }
}

/// A consistent copy of a log while its writer goes on, in this process or another.
///
/// What the log has when this is made is held open, so that the writer may remove it meanwhile; `extend`
/// takes notice of what was made durable since. The copy ends with an empty segment that says where the last
/// one ends and what its frames are: so all of it is known to be durable, the cut included. The file DURABLE,
/// which may be ahead of a copy, is not copied but made anew.
///
/// Not thread-safe.
public final class LogBackup {
  private let reader: WriteAheadLog
  private var segments: [Segment]
  /// Everything up to here will be in the copy.
  public private(set) var lastLSN: LogSequenceNumber

  /// Cost: a read of the last segment. Throws `.corrupt` when that is damaged.
  public init(directory: String, fileSystem: any FileSystem) throws(WriteAheadLogError) {
    var options = WriteAheadLogOptions()
    options.isReadOnly = true
    let mark: DurableMark.Value?
    do throws(StorageError) {
      mark = try DurableMark.read(directory: directory, fileSystem: fileSystem)
    } catch { throw .storage(error) }
    // Older segments are checked in the copy.
    reader = try WriteAheadLog.open(
      directory: directory, fileSystem: fileSystem, options: options,
      from: mark.map { $0.durableLSN + 1 }
    ) { _, _, _ in true }
    segments = reader.segments.withLock { $0 }
    lastLSN = reader.readableLSN
  }

  public var store: StoreIdentifier { reader.store }
  public var firstLSN: LogSequenceNumber { segments[0].header.firstLSN }

  /// Takes in what was made durable since. Throws `.removed` when the writer has removed segments that
  /// came after the last call: the copy begins anew then.
  public func extend() throws(WriteAheadLogError) {
    lastLSN = try reader.refresh()
    let last = segments[segments.count - 1].header.segment
    segments += reader.segments.withLock { $0 }.filter { $0.header.segment > last }
  }

  /// The files of the copy, in the order in which they are to be written: START last, without which a log
  /// that begins later than its first segment does not open. Cost: a read of the last segment.
  public func files() throws(WriteAheadLogError) -> [LogBackupFile] {
    let count = max(1, segments.firstIndex { $0.header.firstLSN > lastLSN } ?? segments.count)
    var files: [LogBackupFile] = []
    for index in 0..<count - 1 {
      files.append(
        LogBackupFile(segments[index], sizeBytes: segments[index + 1].header.predecessorLength))
    }
    let last = segments[count - 1]
    let end = try endOfLast(last)
    files.append(LogBackupFile(last, sizeBytes: end.predecessorLength))
    files.append(LogBackupFile(name: Segment.name(end.segment), bytes: end.encoded()))
    let mark = DurableMark.Value(
      store: reader.store, segment: end.segment, durableLSN: lastLSN)
    files.append(LogBackupFile(name: DurableMark.name, bytes: DurableMark.encode(mark)))
    files.append(
      LogBackupFile(name: LogStart.name, bytes: LogStart(segments[0].header).encoded()))
    return files
  }

  /// The header of the segment that ends the copy.
  private func endOfLast(_ last: Segment) throws(WriteAheadLogError) -> SegmentHeader {
    var scanner = FrameScanner(
      last, limit: last.capacityBytes, expectedLSN: last.header.firstLSN)
    var chain: UInt32 = 0
    while scanner.expectedLSN <= lastLSN {
      let step: FrameScanner.Step
      do throws(StorageError) { step = try scanner.next() } catch { throw .storage(error) }
      guard case .frame(let header, _) = step else {
        throw .corrupt(
          path: last.file.path, byteOffset: scanner.offset,
          reason: "LSN \(scanner.expectedLSN) cannot be read")
      }
      chain = Frame.chain(chain, after: header)
    }
    return SegmentHeader(
      segment: last.header.segment + 1, store: reader.store, firstLSN: scanner.expectedLSN,
      salt: .random(in: .min ... .max), predecessorLength: scanner.offset,
      predecessorChain: chain)
  }

  /// Reads the copy in `directory` as an opening would, every record, and checks that it has all that it
  /// should. Throws `.corrupt` when it does not.
  public func check(
    _ directory: String, fileSystem: any FileSystem
  ) throws(WriteAheadLogError) {
    var options = WriteAheadLogOptions()
    options.isReadOnly = true
    let copy = try WriteAheadLog.open(
      directory: directory, fileSystem: fileSystem, options: options)
    guard copy.store == store, copy.firstLSN == firstLSN, copy.readableLSN == lastLSN else {
      throw .corrupt(
        path: directory, byteOffset: 0,
        reason: "the copy has LSN \(copy.firstLSN) to \(copy.readableLSN) instead of "
          + "\(firstLSN) to \(lastLSN)")
    }
    try copy.close()
  }
}

extension LogBackupFile {
  fileprivate init(_ segment: Segment, sizeBytes: Int) {
    self.init(
      name: Segment.name(segment.header.segment),
      content: .file(segment.file, sizeBytes: Int64(sizeBytes)), header: segment.header.encoded())
  }

  fileprivate init(name: String, bytes: [UInt8]) {
    self.init(name: name, content: .bytes(bytes), header: bytes)
  }
}
