internal import Storage
internal import Synchronization
internal import WriteAheadLog

/// A hash table of fixed capacity: open addressing with linear probing, 16 bytes a slot, a key's hash
/// and where its newest record lies. One thread at a time writes; readers need no lock.
///
/// A slot's place follows the order of hashes (the high bits of hash times capacity), so the capacity
/// may be any number, and a table is copied to a larger one in one pass over both.
@safe final class IndexTable: @unchecked Sendable {
  // Unchecked: slots are atomic; writers hold the shard's lock.
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let header: UnsafeMutablePointer<View>
  let capacity: Int

  /// A slot that never held anything ends a search.
  static let empty: UInt64 = 0
  /// A slot whose key was removed does not. No record lies in a segment's header, so neither is a
  /// record's position.
  static let removed: UInt64 = 1

  init(capacity: Int) {
    self.capacity = capacity
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: capacity * 16, alignment: 64)
    unsafe bytes.initializeMemory(as: UInt64.self, repeating: 0, count: capacity * 2)
    unsafe words = bytes.assumingMemoryBound(to: Atomic<UInt64>.self)
    unsafe header = .allocate(capacity: 1)
    unsafe header.initialize(to: View(words: words, capacity: UInt64(capacity)))
  }

  deinit {
    unsafe header.deallocate()
    unsafe words.deallocate()
  }

  /// How readers use it without counting references; valid as long as the object is.
  @unsafe var view: UnsafePointer<View> { unsafe UnsafePointer(header) }

  func tag(at slot: Int) -> UInt64 { unsafe words[slot * 2].load(ordering: .relaxed) }

  func position(at slot: Int) -> UInt64 { unsafe words[slot * 2 + 1].load(ordering: .relaxed) }

  func replace(_ slot: Int, with position: UInt64) {
    unsafe words[slot * 2 + 1].store(position, ordering: .releasing)
  }

  /// Writes a slot that is empty or removed: whoever sees the position sees the hash.
  func fill(_ slot: Int, _ tag: UInt64, _ position: UInt64) {
    unsafe words[slot * 2].store(tag, ordering: .relaxed)
    unsafe words[slot * 2 + 1].store(position, ordering: .releasing)
  }

  /// The first slot from the hash's own place on that holds nothing.
  func vacancy(for tag: UInt64) -> Int {
    var slot = unsafe header.pointee.start(tag)
    while position(at: slot) > IndexTable.removed { slot = slot + 1 == capacity ? 0 : slot + 1 }
    return slot
  }

  @safe struct View: @unchecked Sendable {
    // Unchecked: slots are atomic, and whoever has the view keeps the memory alive.
    fileprivate let words: UnsafeMutablePointer<Atomic<UInt64>>
    fileprivate let capacity: UInt64

    /// The hash's own place.
    @inline(__always) func start(_ tag: UInt64) -> Int {
      Int(truncatingIfNeeded: tag.multipliedFullWidth(by: capacity).high)
    }

    /// Asks for the cache line of the hash's own place.
    @inline(__always) func prefetch(_ tag: UInt64) {
      unsafe Prefetch.line(words + start(tag) * 2)
    }

    /// The next position from `slot` on whose hash is `tag`, with its slot; nil when there is none.
    @inline(__always) func next(_ tag: UInt64, from slot: Int) -> (
      slot: Int, position: LogPosition
    )? {
      var slot = slot
      while true {
        let position = unsafe words[slot * 2 + 1].load(ordering: .acquiring)
        if position == IndexTable.empty { return nil }
        if unsafe words[slot * 2].load(ordering: .relaxed) == tag, position != IndexTable.removed {
          return (slot, LogPosition(rawValue: position))
        }
        slot = after(slot)
      }
    }

    @inline(__always) func after(_ slot: Int) -> Int { slot + 1 == Int(capacity) ? 0 : slot + 1 }
  }
}
