// Gathering values by position. The type is switched once a column; what follows are plain loops.
extension Column {
  /// The values at `indices`, in that order and as often as they are named; null where an index is
  /// negative. Copies; linear in the indices and the bytes of what they name.
  ///
  /// - Precondition: indices are less than `count`.
  public func take(_ indices: [Int32]) throws(ColumnSizeError) -> Column {
    try take(indices.span)
  }

  public func take(_ indices: [Int]) throws(ColumnSizeError) -> Column { try take(indices.span) }

  public func take(_ indices: Span<Int32>) throws(ColumnSizeError) -> Column {
    try gather(indices)
  }

  public func take(_ indices: Span<Int>) throws(ColumnSizeError) -> Column {
    try gather(indices)
  }

  private func gather<Index: FixedWidthInteger & SignedInteger>(
    _ indices: Span<Index>
  ) throws(ColumnSizeError) -> Column {
    let validity = gatherValidity(indices)
    let buffers: [Buffer]
    var children: [Column] = []
    switch type {
    case .boolean:
      var bits = BitmapBuilder()
      bits.reserveCapacity(indices.count)
      let buffer = self.buffers[0]
      let values = buffer.bytes
      for place in indices.indices {
        let index = Int(indices[place])
        bits.append(index >= 0 && Bitmap.isSet(values, offset + index))
      }
      buffers = [bits.buffer()]
    case .string, .binary: buffers = try gatherBytes(indices)
    case .list, .map:
      let (offsets, inner) = try gatherRanges(indices)
      buffers = [Buffer(copying: offsets)]
      children = [try self.children[0].take(inner.span)]
    case .structure:
      buffers = []
      for child in self.children {
        children.append(try child.slice(offset..<(offset + count)).gather(indices))
      }
    case .fixedSizeBinary(let width): buffers = [gatherFixed(indices, width: width)]
    case .int32, .float32, .date: buffers = [gatherWords(indices, as: UInt32.self)]
    case .decimal: buffers = [gatherWords(indices, as: UInt128.self)]
    case .int64, .float64, .time, .timestamp, .timestampNanoseconds:
      buffers = [gatherWords(indices, as: UInt64.self)]
    }
    return Column(
      type: type, count: indices.count, validity: validity, buffers: buffers, children: children)
  }

  private func gatherValidity<Index: FixedWidthInteger & SignedInteger>(
    _ indices: Span<Index>
  ) -> Buffer? {
    var bits = BitmapBuilder()
    bits.reserveCapacity(indices.count)
    if let validity {
      let present = validity.bytes
      for place in indices.indices {
        let index = Int(indices[place])
        precondition(index < count, "index out of bounds")
        bits.append(index >= 0 && Bitmap.isSet(present, offset + index))
      }
    } else {
      var lowest: Index = 0
      for place in indices.indices {
        let index = indices[place]
        precondition(index < count, "index out of bounds")
        lowest = min(lowest, index)
      }
      if lowest >= 0 { return nil }
      for place in indices.indices { bits.append(indices[place] >= 0) }
    }
    return bits.validity()
  }

  private func gatherWords<
    Index: FixedWidthInteger & SignedInteger, Word: FixedWidthInteger & BitwiseCopyable
  >(_ indices: Span<Index>, as _: Word.Type) -> Buffer {
    let values = values(as: Word.self)
    return unsafe Buffer(count: indices.count * MemoryLayout<Word>.stride) { memory in
      let taken = unsafe memory.bindMemory(to: Word.self)
      for place in indices.indices {
        let index = Int(indices[place])
        // The memory is zero where nothing is written.
        if index >= 0 { unsafe taken[place] = values[index] }
      }
    }
  }

  private func gatherFixed<Index: FixedWidthInteger & SignedInteger>(
    _ indices: Span<Index>, width: Int
  ) -> Buffer {
    let values = bytes
    return unsafe Buffer(count: indices.count * width) { memory in
      for place in indices.indices {
        let index = Int(indices[place])
        if index >= 0 {
          let value = values.extracting((index * width)..<((index + 1) * width))
          unsafe value.copy(to: memory, at: place * width)
        }
      }
    }
  }

  private func gatherBytes<Index: FixedWidthInteger & SignedInteger>(
    _ indices: Span<Index>
  ) throws(ColumnSizeError) -> [Buffer] {
    let from = self.offsets
    let bytes = self.bytes
    var offsets: [Int32] = []
    offsets.reserveCapacity(indices.count + 1)
    offsets.append(0)
    var end = 0
    for place in indices.indices {
      let index = Int(indices[place])
      if index >= 0 { end += Int(from[index + 1]) - Int(from[index]) }
      guard end <= Int(Int32.max) else { throw ColumnSizeError() }
      offsets.append(Int32(truncatingIfNeeded: end))
    }
    let taken = unsafe Buffer(count: end) { memory in
      for place in indices.indices {
        let index = Int(indices[place])
        if index >= 0 {
          let value = bytes.extracting(Int(from[index])..<Int(from[index + 1]))
          unsafe value.copy(to: memory, at: Int(offsets[place]))
        }
      }
    }
    return [Buffer(copying: offsets), taken]
  }

  /// Offsets of the taken lists, and the positions of their elements.
  private func gatherRanges<Index: FixedWidthInteger & SignedInteger>(
    _ indices: Span<Index>
  ) throws(ColumnSizeError) -> (offsets: [Int32], elements: [Int32]) {
    let from = self.offsets
    var offsets: [Int32] = [0]
    offsets.reserveCapacity(indices.count + 1)
    var elements: [Int32] = []
    for place in indices.indices {
      let index = Int(indices[place])
      if index >= 0 { elements.append(contentsOf: from[index]..<from[index + 1]) }
      guard elements.count <= Int(Int32.max) else { throw ColumnSizeError() }
      offsets.append(Int32(truncatingIfNeeded: elements.count))
    }
    return (offsets, elements)
  }
}

extension RawSpan {
  /// Copies all bytes into `memory` from `byteOffset`, where there must be room.
  func copy(to memory: UnsafeMutableRawBufferPointer, at byteOffset: Int) {
    precondition(byteOffset >= 0 && byteOffset + byteCount <= memory.count, "no room to copy to")
    unsafe withUnsafeBytes { source in
      guard let start = memory.baseAddress, let from = source.baseAddress else { return }
      unsafe (start + byteOffset).copyMemory(from: from, byteCount: source.count)
    }
  }
}

extension RecordBatch {
  /// The rows at `indices`; see `Column.take`.
  public func take(_ indices: [Int]) throws(ColumnSizeError) -> RecordBatch {
    var taken: [Column] = []
    for column in columns { taken.append(try column.take(indices.span)) }
    return RecordBatch(schema: schema, columns: taken, rowCount: indices.count)
  }

  /// The rows for which `keep` holds true, in order; all of them share memory with this batch.
  ///
  /// - Precondition: one element a row.
  public func filter(_ keep: [Bool]) throws(ColumnSizeError) -> RecordBatch {
    precondition(keep.count == rowCount, "one decision a row")
    let indices = keep.indices.filter { keep[$0] }
    return indices.count == rowCount ? self : try take(indices)
  }
}
