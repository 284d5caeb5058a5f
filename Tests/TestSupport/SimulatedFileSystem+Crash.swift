import Storage

/// What is left of a simulated disk when a process or the machine stops.
extension SimulatedFileSystem {
  /// A copy of the disk as a process that starts after this moment finds it when the process ended
  /// but the machine did not: nothing lost, locks gone.
  public func restarted() -> SimulatedFileSystem {
    let other = SimulatedFileSystem()
    state.withLock { state in
      var fresh: [ObjectIdentifier: Node] = [:]
      func copied(_ node: Node) -> Node {
        if let known = fresh[ObjectIdentifier(node)] { return known }
        let copy = Node()
        (copy.live, copy.durable, copy.dirty) = (node.live, node.durable, node.dirty)
        fresh[ObjectIdentifier(node)] = copy
        return copy
      }
      let names = state.names.mapValues(copied)
      let durableNames = state.durableNames.mapValues(copied)
      let (directories, capacity, maps) = (
        state.directories, state.capacityBytes, state.mapsFiles
      )
      other.state.withLock {
        ($0.names, $0.durableNames, $0.directories) = (names, durableNames, directories)
        ($0.capacityBytes, $0.mapsFiles) = (capacity, maps)
      }
    }
    return other
  }

  /// The same disk, with files that are mapped or not.
  public convenience init(copying disk: SimulatedFileSystem, mapsFiles: Bool) {
    self.init(mapsFiles: mapsFiles)
    let (names, durableNames, directories) = disk.restarted().state.withLock {
      ($0.names, $0.durableNames, $0.directories)
    }
    state.withLock {
      ($0.names, $0.durableNames, $0.directories) = (names, durableNames, directories)
    }
  }

  /// A copy of the disk as it is after the power went: what was not synced survives by chance.
  public func crashed(seed: UInt64) -> SimulatedFileSystem {
    var generator = SeededGenerator(seed: seed)
    // Some crashes keep all, some nothing, most a part.
    let odds = generator.below(5)
    func survives() -> Bool {
      switch odds {
      case 0: false
      case 1: true
      default: generator.oneIn(2)
      }
    }
    func surviving(_ state: State) -> [String: Node] {
      var names = state.durableNames
      for name in Set(state.names.keys).union(state.durableNames.keys).sorted() {
        if state.names[name] !== state.durableNames[name], survives() {
          names[name] = state.names[name]
        }
      }
      return names
    }
    return copy(names: surviving) { node, _ in
      var bytes = node.durable
      for sector in node.dirty.keys.sorted() {
        guard survives(), let states = node.dirty[sector] else { continue }
        let content = states[odds == 1 ? states.count - 1 : generator.below(states.count)]
        let start = sector * SimulatedFileSystem.sector
        let end = start + content.count
        if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
        bytes.replaceSubrange(start..<end, with: content)
      }
      return bytes
    }
  }

  private func copy(
    names: (State) -> [String: Node] = { $0.names }, _ content: (Node, String) -> [UInt8]
  ) -> SimulatedFileSystem {
    let other = SimulatedFileSystem()
    state.withLock { state in
      var copied: [String: Node] = [:]
      for (name, node) in names(state).sorted(by: { $0.key < $1.key }) {
        let fresh = Node()
        fresh.live = content(node, name)
        fresh.durable = fresh.live
        copied[name] = fresh
      }
      let (directories, maps) = (state.directories, state.mapsFiles)
      let result = copied
      other.state.withLock {
        $0.names = result
        $0.durableNames = result
        ($0.directories, $0.mapsFiles) = (directories, maps)
      }
    }
    return other
  }
}

/// The disk at many moments of one run, so that a crash at each of them costs no run of its own.
extension SimulatedFileSystem {
  /// The disk before a call, and the tag that was set then.
  public struct Image: @unchecked Sendable {
    // Unchecked: the nodes are copies that nobody changes.
    let names: [String: Node]
    let durableNames: [String: Node]
    let directories: Set<String>
    let mapsFiles: Bool
    public let tag: Int
    /// The call that came next, and on what.
    public let operation: String
    public let path: String

    init(_ state: State, before operation: String, _ path: String) {
      var fresh: [ObjectIdentifier: Node] = [:]
      func copied(_ node: Node) -> Node {
        if let known = fresh[ObjectIdentifier(node)] { return known }
        let copy = Node()
        (copy.live, copy.durable, copy.dirty) = (node.live, node.durable, node.dirty)
        fresh[ObjectIdentifier(node)] = copy
        return copy
      }
      names = state.names.mapValues(copied)
      durableNames = state.durableNames.mapValues(copied)
      directories = state.directories
      mapsFiles = state.mapsFiles
      tag = state.tag
      (self.operation, self.path) = (operation, path)
    }

    /// A disk that goes on from here.
    public var disk: SimulatedFileSystem {
      let disk = SimulatedFileSystem()
      disk.state.withLock {
        ($0.names, $0.durableNames, $0.directories) = (names, durableNames, directories)
        $0.mapsFiles = mapsFiles
      }
      return disk
    }
  }

  /// Keeps an image before each call that may change the disk.
  public func recordImages() { state.withLock { $0.images = [] } }

  public var images: [Image] { state.withLock { $0.images ?? [] } }

  /// What images are to carry from now on: how far the one who uses the disk has come.
  public func tag(_ tag: Int) { state.withLock { $0.tag = tag } }

  static func record(_ state: inout State, _ operation: String, _ path: String) {
    guard state.images != nil, !["read", "examine", "list", "lock"].contains(operation) else {
      return
    }
    let image = Image(state, before: operation, path)
    state.images?.append(image)
  }
}
