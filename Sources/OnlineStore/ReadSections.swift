internal import Storage
internal import Synchronization

/// Lets readers use what writers replace, without a lock: what was replaced is kept until no reader can
/// hold it any more (sleepable read-copy-update, McKenney 2006).
///
/// A reader counts itself in while it reads; writers never wait for it, they only keep the old object
/// for longer. Counters are striped by thread, so that readers do not share cache lines.
///
/// A stripe's first word has who is inside in its low 16 bits, and above how many gets ever began: so that
/// counting gets costs nothing. What else is counted lies in the same cache line.
@safe package final class ReadSections: @unchecked Sendable {
  // Unchecked: the counters are atomic, the rest is behind the lock.
  private static let stripeCount = 16
  /// Apart by two cache lines, for processors that fetch pairs.
  private static let stride = 16
  private let counters: UnsafeMutablePointer<Atomic<Int>>
  private let epoch = Atomic<Int>(0)
  private let retired = Lock(Retired())
  private let hasRetired = Atomic<Bool>(false)

  private struct Retired {
    var advances = 0
    /// With the number of advances after which they may go.
    var objects: [(object: AnyObject, until: Int)] = []
  }

  /// One in so many is timed.
  static let getsPerSample = 64
  static let batchesPerSample = 16
  private static let insideMask = 0xFFFF
  private static let oneGet = 1 << 16
  /// Words of a stripe after the first.
  private static let missWord = 1
  private static let batchWord = 2
  private static let batchKeyWord = 3
  private static let batchMissWord = 4

  /// Where a reader was counted in.
  package struct Section {
    fileprivate var counter: Int
  }

  package init() {
    let count = ReadSections.stripeCount * 2 * ReadSections.stride
    unsafe counters = .allocate(capacity: count)
    for index in 0..<count { unsafe (counters + index).initialize(to: Atomic(0)) }
  }

  deinit {
    let count = ReadSections.stripeCount * 2 * ReadSections.stride
    unsafe counters.deinitialize(count: count)
    unsafe counters.deallocate()
  }

  private static func counter(stripe: Int, epoch: Int) -> Int { (stripe * 2 + epoch) * stride }

  /// Begins to read: what is loaded from now on stays until `end`.
  @inline(__always) func begin() -> Section {
    let counter = ownCounter
    unsafe counters[counter].wrappingAdd(1, ordering: .sequentiallyConsistent)
    return Section(counter: counter)
  }

  /// The same, counted as a get, of which one in 64 is to be timed.
  @inline(__always) package func beginGet() -> (section: Section, isTimed: Bool) {
    let counter = ownCounter
    let before = unsafe counters[counter].wrappingAdd(
      ReadSections.oneGet + 1, ordering: .sequentiallyConsistent
    ).oldValue
    return (Section(counter: counter), before & (63 * ReadSections.oneGet) == 0)
  }

  /// The same, counted as a batch of gets, of which one in 16 is to be timed.
  func beginBatch(keyCount: Int) -> (section: Section, isTimed: Bool) {
    let section = begin()
    let before = count(1, ReadSections.batchWord, section)
    _ = count(keyCount, ReadSections.batchKeyWord, section)
    return (section, before & 15 == 0)
  }

  /// A get found nothing.
  func countMiss(_ section: Section) { _ = count(1, ReadSections.missWord, section) }

  func countBatchMisses(_ misses: Int, _ section: Section) {
    if misses > 0 { _ = count(misses, ReadSections.batchMissWord, section) }
  }

  @discardableResult
  private func count(_ number: Int, _ word: Int, _ section: Section) -> Int {
    unsafe counters[section.counter + word].wrappingAdd(number, ordering: .relaxed).oldValue
  }

  /// What was counted so far.
  var counts: ReadCounts {
    var counts = ReadCounts()
    for index in 0..<ReadSections.stripeCount * 2 {
      func word(_ word: Int) -> UInt64 {
        let value = unsafe counters[index * ReadSections.stride + word].load(ordering: .relaxed)
        return UInt64(bitPattern: Int64(value))
      }
      counts.gets += word(0) >> 16
      counts.misses += word(ReadSections.missWord)
      counts.batches += word(ReadSections.batchWord)
      counts.batchKeys += word(ReadSections.batchKeyWord)
      counts.batchMisses += word(ReadSections.batchMissWord)
    }
    return counts
  }

  @inline(__always) private var ownCounter: Int {
    // Threads have stacks of their own, megabytes apart: the address tells them apart.
    var here: UInt8 = 0
    let address = unsafe withUnsafePointer(to: &here) { UInt(bitPattern: $0) }
    let stripe = Int(truncatingIfNeeded: (UInt64(address >> 16) &* 0x9E37_79B9_7F4A_7C15) >> 60)
    return ReadSections.counter(stripe: stripe, epoch: epoch.load(ordering: .relaxed))
  }

  @inline(__always) package func end(_ section: Section) {
    unsafe counters[section.counter].wrappingSubtract(1, ordering: .releasing)
  }

  /// Keeps an object that no new reader can find until those who may have found it are done.
  package func retire(_ object: AnyObject) {
    retired.withLock { retired in
      // Whoever reads now is counted in one of the two epochs; each is seen empty once.
      retired.objects.append((object, retired.advances + 2))
      hasRetired.store(true, ordering: .relaxed)
    }
    reclaim()
  }

  /// Lets go of what can go. Cheap when there is nothing; never waits for readers.
  package func reclaim() {
    guard hasRetired.load(ordering: .relaxed) else { return }
    let gone = retired.withLock { retired in
      for _ in 0..<2 where advance() { retired.advances += 1 }
      let advances = retired.advances
      let gone = retired.objects.filter { $0.until <= advances }
      retired.objects.removeAll { $0.until <= advances }
      hasRetired.store(!retired.objects.isEmpty, ordering: .relaxed)
      return gone.count
    }
    _ = gone
  }

  /// Waits until everybody who is inside now has left; those who come later do not matter.
  func waitForThoseInside() {
    let wanted = retired.withLock { $0.advances + 2 }
    let pause = Monitor(())
    while true {
      let isDone = retired.withLock { retired in
        while retired.advances < wanted, advance() { retired.advances += 1 }
        return retired.advances >= wanted
      }
      if isDone { return }
      _ = pause.wait(timeoutMilliseconds: 1) { _ -> Bool? in nil }
    }
  }

  /// Begins a new epoch if nobody reads in the one before the present.
  private func advance() -> Bool {
    let present = epoch.load(ordering: .relaxed)
    for stripe in 0..<ReadSections.stripeCount {
      let counter = ReadSections.counter(stripe: stripe, epoch: 1 - present)
      let inside = unsafe counters[counter].load(ordering: .sequentiallyConsistent)
      if inside & ReadSections.insideMask != 0 { return false }
    }
    epoch.store(1 - present, ordering: .sequentiallyConsistent)
    return true
  }
}

/// Gets that were counted.
struct ReadCounts: Hashable, Sendable {
  var gets: UInt64 = 0
  var misses: UInt64 = 0
  var batches: UInt64 = 0
  var batchKeys: UInt64 = 0
  var batchMisses: UInt64 = 0
}
