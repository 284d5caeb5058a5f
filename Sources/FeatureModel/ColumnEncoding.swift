internal import Columnar

// How values of one column enter and leave encoded rows and keys. The type is looked at once a
// column, then all its rows are done in one loop.

/// Writes the fixed-width values of `column` into their slots; nulls leave zeros.
@_lifetime(memory: copy memory)
func storeFixedWidth(
  _ column: Column, _ type: FeatureType, slot: Int, rows: [Int], into memory: inout MutableRawSpan
) {
  @_lifetime(memory: copy memory)
  func copy<Value: BitwiseCopyable>(_: Value.Type, _ memory: inout MutableRawSpan) {
    let values = column.values(as: Value.self)
    if column.nullCount == 0 {
      for row in 0..<column.count { memory.store(values[row], at: rows[row] + slot) }
    } else {
      for row in 0..<column.count where !column.isNull(row) {
        memory.store(values[row], at: rows[row] + slot)
      }
    }
  }
  switch type {
  case .boolean:
    for row in 0..<column.count where !column.isNull(row) && column.boolean(at: row) {
      memory.store(UInt8(1), at: rows[row] + slot)
    }
  case .int, .float, .date: copy(UInt32.self, &memory)
  case .long, .double, .timestamp: copy(UInt64.self, &memory)
  case .decimal, .uuid:
    // Sixteen bytes as they are, whatever their alignment.
    let bytes = column.buffers[0]
    for row in 0..<column.count where !column.isNull(row) {
      let first = (column.offset + row) * 16
      memory.store(bytes: bytes.bytes.extracting(first..<(first + 16)), at: rows[row] + slot)
    }
  case .string, .binary, .list: preconditionFailure("\(type) has no fixed width")
  }
}

/// The bytes that the variable-length value of each row takes; zero for nulls.
func variableSizes(_ column: Column, _ type: FeatureType, add: (Int, Int) -> Void) {
  let offsets = column.offsets
  switch type {
  case .string, .binary:
    for row in 0..<column.count where !column.isNull(row) {
      add(row, Int(offsets[row + 1] - offsets[row]))
    }
  case .list(let element, _):
    let elements = column.children[0]
    for row in 0..<column.count where !column.isNull(row) {
      let range = Int(offsets[row])..<Int(offsets[row + 1])
      add(row, listSize(elements, element, range))
    }
  default: preconditionFailure("\(type) has a fixed width")
  }
}

private func listSize(_ elements: Column, _ element: FeatureType, _ range: Range<Int>) -> Int {
  guard element.isVariableLength else { return range.count * element.slotWidth }
  guard !range.isEmpty else { return 4 }
  let offsets = elements.offsets
  return 4 + 4 * range.count + Int(offsets[range.upperBound] - offsets[range.lowerBound])
}

/// Writes one variable-length value at `position`.
///
/// Lists of fixed-width elements are their elements; lists of strings are a count, each element's
/// end, and the bytes.
@_lifetime(memory: copy memory)
func storeVariable(
  _ column: Column, _ type: FeatureType, row: Int, at position: Int,
  into memory: inout MutableRawSpan
) {
  switch type {
  case .string, .binary: memory.store(bytes: column.bytes(at: row), at: position)
  case .list(let element, _):
    let elements = column.children[0]
    let offsets = column.offsets
    let first = Int(offsets[row])
    let slice = elements.slice(first..<Int(offsets[row + 1]))
    if element.isVariableLength {
      var end = 0
      var cursor = position + 4 + 4 * slice.count
      memory.store(UInt32(slice.count), at: position)
      for index in 0..<slice.count {
        let bytes = slice.bytes(at: index)
        end += bytes.byteCount
        memory.store(UInt32(end), at: position + 4 + 4 * index)
        memory.store(bytes: bytes, at: cursor)
        cursor += bytes.byteCount
      }
    } else {
      let width = element.slotWidth
      let positions = (0..<slice.count).map { position + $0 * width }
      storeFixedWidth(slice, element, slot: 0, rows: positions, into: &memory)
    }
  default: preconditionFailure("\(type) has a fixed width")
  }
}
