import CArrow
import Columnar

/// One exported ArrowArray: keeps the buffers alive and owns the pointers to them.
@safe private final class ExportedArray {
  private let retained: [Buffer?]
  let pointers: UnsafeMutableBufferPointer<UnsafeRawPointer?>
  let children: UnsafeMutableBufferPointer<UnsafeMutablePointer<ArrowArray>?>

  init(buffers: [Buffer?], children arrays: [ArrowArray]) {
    retained = buffers
    unsafe pointers = .allocate(capacity: buffers.count)
    for (index, buffer) in buffers.enumerated() {
      // Valid as long as `retained` holds the buffer, which is until release.
      let pointer = unsafe buffer?.withUnsafeBytes { bytes in bytes.baseAddress }
      unsafe pointers.initializeElement(at: index, to: pointer)
    }
    unsafe children = .allocate(capacity: arrays.count)
    for index in unsafe arrays.indices {
      let child = UnsafeMutablePointer<ArrowArray>.allocate(capacity: 1)
      unsafe child.initialize(to: arrays[index])
      unsafe children.initializeElement(at: index, to: child)
    }
  }

  deinit {
    for index in unsafe children.indices {
      guard let child = unsafe children[index] else { continue }
      // A child that was moved out has no release left.
      if let release = unsafe child.pointee.release { unsafe release(child) }
      unsafe child.deallocate()
    }
    unsafe children.deallocate()
    unsafe pointers.deallocate()
  }
}

/// Exports a batch as a struct array that shares the columns' buffers; whoever gets it releases it.
func exportBatch(_ batch: RecordBatch) -> ArrowArray {
  unsafe exportArray(
    length: batch.rowCount, nullCount: 0, offset: 0, buffers: [nil],
    children: batch.columns.map { unsafe exportColumn($0) })
}

/// Where Arrow expects at least one offset, also of no values.
private let noOffsets = Buffer(copying: [0] as [Int32])

private func exportColumn(_ column: Column) -> ArrowArray {
  var buffers: [Buffer?] = [column.validity]
  switch column.type {
  case .string, .binary, .list, .map:
    buffers.append(column.buffers[0].count < 4 ? noOffsets : column.buffers[0])
    buffers += column.buffers.dropFirst().map { $0 }
  default: buffers += column.buffers.map { $0 }
  }
  return unsafe exportArray(
    length: column.count, nullCount: column.nullCount, offset: column.offset, buffers: buffers,
    children: column.children.map { unsafe exportColumn($0) })
}

private func exportArray(
  length: Int, nullCount: Int, offset: Int, buffers: [Buffer?], children: [ArrowArray]
) -> ArrowArray {
  let memory = unsafe ExportedArray(buffers: buffers, children: children)
  return unsafe ArrowArray(
    length: Int64(length), null_count: Int64(nullCount), offset: Int64(offset),
    n_buffers: Int64(buffers.count), n_children: Int64(children.count),
    buffers: memory.pointers.baseAddress, children: memory.children.baseAddress, dictionary: nil,
    release: { array in
      guard let array = unsafe array, let data = unsafe array.pointee.private_data else { return }
      unsafe Unmanaged<ExportedArray>.fromOpaque(data).release()
      unsafe array.pointee.release = nil
    }, private_data: Unmanaged.passRetained(memory).toOpaque())
}
