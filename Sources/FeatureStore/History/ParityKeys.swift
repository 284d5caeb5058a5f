internal import PointInTime
internal import Storage

/// What is expected of each key of a part, in flat memory.
struct ParityKeys {
  /// What the comparison of event times and LSNs has found.
  enum State: UInt8 {
    /// Nothing more to do.
    case settled
    /// Online has the record; its values are to be compared.
    case same
    /// Online has nothing.
    case missing
    case onlineNewer
    case offlineNewer
    /// Purged, and brought online again from the table: that very record is looked for.
    case broughtBack
  }

  private var keys = BytesTable()
  private(set) var orders: [RecordOrder] = []
  var states: [State] = []

  var count: Int { orders.count }
  var sizeBytes: Int { keys.sizeBytes + orders.count * 17 }
  var hasWork: Bool { states.contains { $0 != .settled } }

  func key(_ id: Int) -> [UInt8] { keys.value(Int32(id)) }

  /// -1 when the key is not here.
  func find(_ key: RawSpan) -> Int { Int(keys.find(key)) }

  /// Keeps the greatest order of each key.
  mutating func add(_ key: RawSpan, _ order: RecordOrder, _ state: State = .same) {
    let id = Int(keys.intern(key))
    if id == orders.count {
      orders.append(order)
      states.append(state)
    } else if orders[id] < order {
      orders[id] = order
    }
  }

  mutating func expect(_ order: RecordOrder, of id: Int, _ state: State) {
    orders[id] = order
    states[id] = state
  }

  /// Lets go of the keys outside a part.
  mutating func keep(_ part: KeyPart) {
    var kept = ParityKeys()
    for id in orders.indices {
      let key = key(id)
      if part.contains(key.rawSpan) { kept.add(key.rawSpan, orders[id]) }
    }
    self = kept
  }
}
