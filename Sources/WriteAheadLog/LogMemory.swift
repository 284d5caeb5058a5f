internal import Storage

/// The log's segments as memory, as they were at one moment: for readers that read too many records to
/// make a system call for each. Segments removed meanwhile stay mapped as long as this is held.
///
/// Thread-safe. Records that were written to its segments after the snapshot can be read, those of
/// segments begun after it cannot.
@safe public final class LogMemory: @unchecked Sendable {
  // Unchecked: nothing changes after `init`.
  private let mappings: [MappedBytes?]
  private let places: UnsafeMutablePointer<Place>
  private let header: UnsafeMutablePointer<View>

  @safe fileprivate struct Place {
    var start: UnsafeRawPointer?
    /// Nothing lies beyond.
    var limit: Int
    var salt: UInt32
  }

  fileprivate init(_ segments: [Segment]) {
    unsafe places = .allocate(capacity: max(segments.count, 1))
    var mappings: [MappedBytes?] = []
    for (index, segment) in segments.enumerated() {
      let successor = index + 1 < segments.count ? segments[index + 1].header : nil
      let limit = successor?.predecessorLength ?? segment.capacityBytes
      let mapping = segment.mapped(count: limit)
      mappings.append(mapping)
      unsafe (places + index).initialize(
        to: Place(
          start: mapping?.unownedBytes.baseAddress, limit: limit, salt: segment.header.salt))
    }
    self.mappings = mappings
    unsafe header = .allocate(capacity: 1)
    unsafe header.initialize(
      to: View(
        places: places, firstSegment: segments.first?.header.segment ?? 0, count: segments.count))
  }

  deinit {
    unsafe header.deallocate()
    unsafe places.deallocate()
  }

  /// Whether there is a segment before the last that is mapped.
  public var isMapped: Bool { mappings.dropLast().contains { $0?.isOfPageCache == true } }

  /// Spares first reads of the segments their page faults, but for what only the disk holds; the last
  /// segment, which is still being filled, is left alone. Costs about 2 ms a segment of 64 MiB.
  ///
  /// - Parameter last: Only this many before the last.
  public func populateResidentPages(last: Int = .max) {
    for mapping in mappings.dropLast().suffix(last).reversed() {
      if let mapping, mapping.isOfPageCache { mapping.populateResidentPages() }
    }
  }

  /// Bytes that are mapped, and those of them that the page cache has now.
  public struct Residency: Hashable, Sendable {
    public var mappedBytes = 0
    public var residentBytes = 0
  }

  public var residency: Residency {
    var residency = Residency()
    for mapping in mappings {
      guard let mapping else { continue }
      residency.mappedBytes += mapping.count
      residency.residentBytes += mapping.residentBytes
    }
    return residency
  }

  /// How readers use it without counting references; valid as long as the object is.
  @unsafe public var view: UnsafePointer<View> { unsafe UnsafePointer(header) }

  @safe public struct View: @unchecked Sendable {
    // Unchecked: nothing changes, and whoever has the view keeps the memory alive.
    fileprivate let places: UnsafeMutablePointer<Place>
    fileprivate let firstSegment: UInt32
    fileprivate let count: Int

    /// Whether the snapshot knows the position's segment.
    public func covers(_ position: LogPosition) -> Bool {
      Int(position.segment &- firstSegment) < count
    }

    /// The record at a position; nil when its segment is not mapped or its checksum does not match,
    /// which `WriteAheadLog.read(at:)` tells apart.
    @_lifetime(borrow self)
    public func record(at position: LogPosition) -> Record? {
      // Wraps to a large number for segments before the first.
      let index = Int(position.segment &- firstSegment)
      guard index < count, let start = unsafe places[index].start else { return nil }
      let limit = unsafe places[index].limit
      let offset = position.byteOffset
      let header = LogRecords.recordHeaderBytes
      guard offset >= SegmentHeader.sizeBytes, offset <= limit - header else { return nil }
      let length = Int(unsafe start.load(fromByteOffset: offset, as: UInt32.self).littleEndian)
      guard length <= LogRecords.payloadLimitBytes else { return nil }
      let size = LogRecords.sizeBytes(payload: length)
      guard size <= limit - offset else { return nil }
      let span = unsafe RawSpan(_unsafeStart: start + offset, byteCount: size)
      let record = unsafe _overrideLifetime(span, borrowing: self)
      guard
        record.loadLittleEndian(UInt32.self, at: 4)
          == Frame.recordChecksum(record, salt: unsafe places[index].salt)
      else { return nil }
      return Record(
        lsn: record.loadLittleEndian(Int64.self, at: 8),
        payload: record.extracting(header..<header + length))
    }

    /// Asks for the first lines of a record, those of one of about 300 bytes.
    public func prefetch(_ position: LogPosition) {
      let index = Int(position.segment &- firstSegment)
      guard index < count, let start = unsafe places[index].start else { return }
      unsafe Prefetch.lines(start + position.byteOffset, count: 5)
    }
  }

  /// A record in place.
  public struct Record: ~Escapable {
    public let lsn: LogSequenceNumber
    public let payload: RawSpan

    @_lifetime(copy payload)
    init(lsn: LogSequenceNumber, payload: RawSpan) {
      self.lsn = lsn
      self.payload = payload
    }
  }
}

extension WriteAheadLog {
  /// The segments as memory, as they are now. Costs a system call for each that was not mapped before.
  public func memory() -> LogMemory { LogMemory(segments.withLock { $0 }) }
}
