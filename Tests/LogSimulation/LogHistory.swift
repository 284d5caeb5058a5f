import Storage
import WriteAheadLog

/// What happened to a log, in order.
public enum HistoryEvent {
  case appending([[UInt8]])
  /// The append returned with this last LSN.
  case returned(LogSequenceNumber)
  /// The append was refused before anything was written.
  case refused
  /// Everything that returned is on disk.
  case durable
  case removing(upTo: LogSequenceNumber)
}

/// What a log must and may hold.
public struct LogHistory {
  private struct Append {
    var payloads: [[UInt8]]
    var lastLSN: LogSequenceNumber = .max
    var isDurable = false
  }

  private var appends: [Append] = []
  /// A record up to there may be gone.
  private var removedUpTo: LogSequenceNumber = 0

  public init(_ events: some Sequence<HistoryEvent>) {
    for event in events {
      switch event {
      case .appending(let payloads): appends.append(Append(payloads: payloads))
      case .refused: appends.removeLast()
      case .returned(let lsn): appends[appends.count - 1].lastLSN = lsn
      case .durable:
        for index in appends.indices where appends[index].lastLSN < .max {
          appends[index].isDurable = true
        }
      case .removing(let lsn): removedUpTo = max(removedUpTo, lsn)
      }
    }
  }

  public static func payload(_ number: UInt64, sizeBytes: Int) -> [UInt8] {
    var payload: [UInt8] = []
    payload.appendLittleEndian(number)
    return payload
      + (0..<sizeBytes).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(number)) }
  }

  /// Why the recovered records are not what was promised; nil when they are: whole appends, in order,
  /// none missing between two that are there, all durable ones that were not removed.
  public func violation(_ records: [[UInt8]]) -> String? {
    let kept = appends.firstIndex { $0.payloads.first == records.first } ?? appends.count
    for (index, append) in appends[..<kept].enumerated() where append.isDurable {
      guard append.lastLSN <= removedUpTo else { return "durable append \(index) is lost" }
    }
    var rest = records[...]
    for (index, append) in appends[kept...].enumerated() {
      if rest.isEmpty {
        return append.isDurable ? "durable append \(kept + index) is lost at the end" : nil
      }
      guard Array(rest.prefix(append.payloads.count)) == append.payloads else {
        return "append \(kept + index) is not what was appended"
      }
      rest = rest.dropFirst(append.payloads.count)
    }
    return rest.isEmpty ? nil : "there are records that nobody appended"
  }
}
