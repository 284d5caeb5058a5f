internal import PointInTime
internal import Storage

/// The order of a key's records: the greatest one answers.
struct RecordOrder: Comparable {
  var eventTime: Int64
  var lsn: Int64

  static func < (left: RecordOrder, right: RecordOrder) -> Bool {
    (left.eventTime, left.lsn) < (right.eventTime, right.lsn)
  }
}

/// Some of a table's keys: those whose checksum ends in these bits. The same in every process.
struct KeyPart: Hashable {
  var bitCount = 0
  var value: UInt32 = 0

  static let bitLimit = 24

  func contains(_ key: RawSpan) -> Bool {
    bitCount == 0 || CRC32C(of: key).value & (1 << UInt32(bitCount) - 1) == value
  }

  /// The two halves.
  var halves: (KeyPart, KeyPart) {
    (
      KeyPart(bitCount: bitCount + 1, value: value),
      KeyPart(bitCount: bitCount + 1, value: value | 1 << UInt32(bitCount))
    )
  }
}

/// The newest record of each key, in flat memory.
struct NewestRecords {
  private var keys = BytesTable()
  private var orders: [RecordOrder] = []
  /// Keys that need nothing any more.
  private var isDropped: [Bool] = []
  private(set) var wantedCount = 0

  var count: Int { orders.count }
  var sizeBytes: Int { keys.sizeBytes + orders.count * 17 }

  mutating func add(_ key: RawSpan, _ order: RecordOrder) {
    let id = Int(keys.intern(key))
    if id == orders.count {
      orders.append(order)
      isDropped.append(false)
      wantedCount += 1
    } else if orders[id] < order {
      orders[id] = order
    }
  }

  /// Whether this record is the newest of its key, and wanted.
  func wants(_ key: RawSpan, _ order: RecordOrder) -> Bool {
    let id = Int(keys.find(key))
    return id >= 0 && !isDropped[id] && orders[id] == order
  }

  /// Lets go of the keys outside a part.
  mutating func keep(_ part: KeyPart) {
    var kept = NewestRecords()
    for id in orders.indices {
      let key = keys.value(Int32(id))
      if part.contains(key.rawSpan) { kept.add(key.rawSpan, orders[id]) }
    }
    self = kept
  }

  /// Wants no more those keys of which this says so.
  mutating func drop<E: Error>(where isDone: ([UInt8], RecordOrder) throws(E) -> Bool) throws(E) {
    for id in orders.indices where !isDropped[id] {
      if try isDone(keys.value(Int32(id)), orders[id]) {
        isDropped[id] = true
        wantedCount -= 1
      }
    }
  }
}
