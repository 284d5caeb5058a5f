import Storage
import TestSupport
import WriteAheadLog

/// A log in use, and what it promised, as far as a tag.
public final class SimulatedRun {
  public private(set) var history: [HistoryEvent] = []
  private let files: SimulatedFileSystem
  private let options: WriteAheadLogOptions
  private var log: WriteAheadLog?
  private var number: UInt64 = 0
  private var lastLSN: LogSequenceNumber = 0

  public init(_ files: SimulatedFileSystem, _ options: WriteAheadLogOptions) throws {
    self.files = files
    self.options = options
    log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
  }

  private func note(_ event: HistoryEvent) {
    history.append(event)
    files.tag(history.count)
  }

  private func append(_ log: WriteAheadLog, _ sizes: [Int]) throws {
    let payloads = sizes.map { size -> [UInt8] in
      number += 1
      return LogHistory.payload(number, sizeBytes: size)
    }
    note(.appending(payloads))
    do throws(WriteAheadLogError) {
      lastLSN = try log.append(LogRecords(payloads)).lsns.upperBound
    } catch {
      // Nothing was written, and the log goes on.
      guard case .full = error else { throw error }
      note(.refused)
      return
    }
    note(.returned(lastLSN))
    if options.durability == .synchronous { note(.durable) }
  }

  public func perform(_ operation: LogSimulation.Operation) throws {
    if operation == .kill {
      log = nil
      log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
      // What was read back was made durable first.
      note(.durable)
      return
    }
    guard let log else { return }
    switch operation {
    case .put: try append(log, [40])
    case .batch: try append(log, [10, 700, 30])
    case .large: try append(log, [3000])
    case .reserve:
      _ = try log.reserve(3)
      note(.durable)
    case .synchronize:
      try log.synchronize()
      note(.durable)
    case .removeSome:
      let lsn = lastLSN / 2
      note(.removing(upTo: lsn))
      try log.removeSegments(upTo: lsn)
    case .removeAll:
      note(.removing(upTo: lastLSN))
      try log.removeSegments(upTo: lastLSN)
    case .prepare: log.prepareNextSegment()
    case .reopen:
      try log.close()
      note(.durable)
      self.log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    case .kill: break
    }
  }
}
