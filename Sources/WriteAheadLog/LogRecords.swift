internal import Storage

/// Payloads to append together: one commit, atomic on recovery. They are laid out here as they will
/// lie in the frame, so that nothing is allocated per record.
///
///     record = 0 payload length | 4 masked CRC | 8 LSN | 16 payload | zeros up to a multiple of 8
public struct LogRecords: Sendable {
  /// What one record may have, so that a damaged length cannot ask for absurd memory.
  public static let payloadLimitBytes = 16 << 20
  static let recordHeaderBytes = 16

  /// Room for the frame's header, and the records.
  private(set) var bytes = [UInt8](repeating: 0, count: Frame.headerBytes)
  /// Where each record begins in the frame.
  private(set) var offsets: [Int] = []
  /// The largest payload, for the check against the limit.
  private(set) var largestPayload = 0

  public var count: Int { offsets.count }

  public init() {}

  public init(_ payloads: [[UInt8]]) {
    for payload in payloads {
      append(sizeBytes: payload.count) { $0.store(payload.rawSpan, at: $1) }
    }
  }

  /// Makes room for so many bytes of records, so that appending them does not move what is there.
  public mutating func reserveCapacity(_ sizeBytes: Int) {
    bytes.reserveCapacity(bytes.count + sizeBytes)
  }
  /// Adds a record whose payload has so many bytes; `fill` writes them, from the offset that it is given
  /// on. They are zero before.
  @inline(__always)
  public mutating func append(sizeBytes: Int, _ fill: (inout MutableRawSpan, Int) -> Void) {
    let start = add(sizeBytes)
    var elements = bytes.mutableSpan
    var memory = unsafe elements.mutableBytes
    fill(&memory, start)
  }

  /// Adds a record of zeros; returns where its payload begins.
  private mutating func add(_ sizeBytes: Int) -> Int {
    precondition(sizeBytes >= 0, "a payload has no negative size")
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: LogRecords.sizeBytes(payload: sizeBytes)))
    bytes.storeLittleEndian(UInt32(clamping: sizeBytes), at: start)
    largestPayload = max(largestPayload, sizeBytes)
    offsets.append(start)
    return start + LogRecords.recordHeaderBytes
  }

  /// Lets `body` change the payloads in place: it gets all bytes, and where each payload begins.
  public mutating func update(_ body: (inout MutableRawSpan, Int) -> Void) {
    let offsets = offsets
    var elements = bytes.mutableSpan
    var memory = unsafe elements.mutableBytes
    for offset in offsets { body(&memory, offset + LogRecords.recordHeaderBytes) }
  }

  /// The payload of one record.
  @_lifetime(borrow self)
  public func payload(_ index: Int) -> RawSpan {
    let length = Int(bytes.rawSpan.loadLittleEndian(UInt32.self, at: offsets[index]))
    let first = offsets[index] + LogRecords.recordHeaderBytes
    let payload = bytes.rawSpan.extracting(first..<first + length)
    return unsafe _overrideLifetime(payload, borrowing: self)
  }

  /// Adds all records of others.
  public mutating func append(contentsOf others: LogRecords) {
    let shift = bytes.count - Frame.headerBytes
    bytes.append(contentsOf: others.bytes[Frame.headerBytes...])
    for offset in others.offsets { offsets.append(offset + shift) }
    largestPayload = max(largestPayload, others.largestPayload)
  }

  /// Hands its bytes over without copying them.
  consuming func takeBytes() -> [UInt8] { bytes }

  /// What a record of this payload takes in the log.
  static func sizeBytes(payload: Int) -> Int { recordHeaderBytes + (payload + 7) & ~7 }
}
