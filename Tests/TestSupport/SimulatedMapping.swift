import Storage

/// A simulated file as memory, as `mmap` shows it: what is written to the file is seen at once.
///
/// What was unmapped is spoilt before it is freed, so that whoever reads on there finds no record.
final class SimulatedMapping: @unchecked Sendable {
  // Unchecked: written under the file system's lock, as a file is; read without it, as a mapping is.
  private let bytes: UnsafeMutableRawBufferPointer

  init(_ live: [UInt8], count: Int) {
    bytes = .allocate(byteCount: count, alignment: 4096)
    update(live, in: 0..<count)
  }

  deinit {
    bytes.initializeMemory(as: UInt8.self, repeating: 0xDB)
    bytes.deallocate()
  }

  var count: Int { bytes.count }

  var mapped: MappedBytes { MappedBytes(UnsafeRawBufferPointer(bytes), keptBy: self) }

  /// Shows what the file has there now; what is not mapped stays out.
  func update(_ live: [UInt8], in range: Range<Int>) {
    let seen = range.clamped(to: 0..<min(live.count, bytes.count))
    guard !seen.isEmpty else { return }
    UnsafeMutableRawBufferPointer(rebasing: bytes[seen]).copyBytes(from: live[seen])
  }
}

extension SimulatedFileSystem.Node {
  /// One of those who have mapped the file, as long as it does.
  struct Reference {
    weak var mapping: SimulatedMapping?
  }

  func map(count: Int) -> MappedBytes? {
    // A read beyond the file's end would be the end of a real process.
    precondition(count <= live.count, "\(count) bytes of a file of \(live.count) are mapped")
    guard count > 0 else { return nil }
    let mapping = SimulatedMapping(live, count: count)
    mappings.removeAll { $0.mapping == nil }
    mappings.append(Reference(mapping: mapping))
    return mapping.mapped
  }

  /// Lets those who have mapped the file see a part that has changed.
  func show(_ range: Range<Int>) {
    for reference in mappings { reference.mapping?.update(live, in: range) }
  }

  /// A file that is mapped must not be made shorter.
  func checkTruncation(to size: Int) {
    for reference in mappings {
      guard let mapping = reference.mapping else { continue }
      precondition(size >= mapping.count, "a file is mapped, and made shorter")
    }
  }
}
