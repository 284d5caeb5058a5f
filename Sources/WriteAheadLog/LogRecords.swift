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
    for payload in payloads { append { $0.append(contentsOf: payload) } }
  }

  /// Adds a record; `encode` appends its payload to the bytes it is given and touches nothing else.
  public mutating func append(encode: (inout [UInt8]) -> Void) {
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: LogRecords.recordHeaderBytes))
    encode(&bytes)
    let length = bytes.count - start - LogRecords.recordHeaderBytes
    precondition(length >= 0, "encoding a payload only appends")
    largestPayload = max(largestPayload, length)
    offsets.append(start)
    bytes.append(contentsOf: repeatElement(0, count: (8 - bytes.count & 7) & 7))
    bytes.storeLittleEndian(UInt32(clamping: length), at: start)
  }

  /// Hands its bytes over without copying them.
  consuming func takeBytes() -> [UInt8] { bytes }

  /// What a record of this payload takes in the log.
  static func sizeBytes(payload: Int) -> Int { recordHeaderBytes + (payload + 7) & ~7 }
}
