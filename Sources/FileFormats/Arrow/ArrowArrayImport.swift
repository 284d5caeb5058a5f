import CArrow
import Columnar

/// The one owner of an imported batch: its buffers share it, and the last one releases the memory.
@safe private final class ImportedArray: @unchecked Sendable {
  // Unchecked: the array is only read after initialisation, and released once, by the last user.
  private var array: ArrowArray

  init(_ array: ArrowArray) { unsafe self.array = array }

  deinit {
    if let release = unsafe array.release { unsafe release(&array) }
  }

  func buffer(_ start: UnsafeRawPointer?, count: Int) -> Buffer {
    unsafe Buffer(borrowing: UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
    {
      [self] in withExtendedLifetime(self) {}
    }
  }
}

/// Takes over a struct array of the glue (validated there) as a batch, without copying.
func importBatch(
  _ array: ArrowArray, schema: Schema, path: String
) throws(FileFormatError) -> RecordBatch {
  let importer = unsafe ArrayImporter(owner: ImportedArray(array), path: path)
  let rowCount = try importer.size(unsafe array.length)
  let offset = try importer.size(unsafe array.offset)
  guard unsafe array.n_children == Int64(schema.fields.count) else {
    throw importer.malformed("\(unsafe array.n_children) columns, not \(schema.fields.count)")
  }
  var columns: [Column] = []
  columns.reserveCapacity(schema.fields.count)
  for (index, field) in schema.fields.enumerated() {
    let column = unsafe try importer.column(array.children?[index], type: field.type)
    guard column.count >= offset + rowCount else {
      throw importer.malformed("column '\(field.name)' has \(column.count) of \(rowCount) values")
    }
    let isWhole = offset == 0 && column.count == rowCount
    columns.append(isWhole ? column : column.slice(offset..<(offset + rowCount)))
  }
  return RecordBatch(schema: schema, columns: columns, rowCount: rowCount)
}

private struct ArrayImporter {
  let owner: ImportedArray
  let path: String

  func malformed(_ message: String) -> FileFormatError {
    FileFormatError(.malformed, path: path, message: message)
  }

  func size(_ value: Int64) throws(FileFormatError) -> Int {
    guard value >= 0, value < Int64(1) << 40 else { throw malformed("an array of \(value) values") }
    return Int(value)
  }

  func column(
    _ pointer: UnsafeMutablePointer<ArrowArray>?, type: DataType
  ) throws(FileFormatError) -> Column {
    guard let pointer = unsafe pointer else { throw malformed("a missing array") }
    let array = unsafe pointer.pointee
    let count = try size(unsafe array.length)
    let offset = try size(unsafe array.offset)
    let end = offset + count
    let expected = expectedBuffers(of: type)
    guard unsafe array.n_buffers == Int64(expected), let buffers = unsafe array.buffers else {
      throw malformed("\(unsafe array.n_buffers) buffers for \(type)")
    }
    let nullCount = unsafe array.null_count
    let validity: Buffer? =
      if nullCount != 0, let bits = unsafe buffers[0] {
        unsafe owner.buffer(bits, count: Bitmap.byteCount(end))
      } else { nil }
    let values = unsafe try valueBuffers(buffers, type: type, end: end)
    let children = unsafe try children(of: array, type: type)
    return Column(
      type: type, count: count, offset: offset, validity: validity,
      nullCount: validity == nil ? 0 : nullCount > 0 ? Int(nullCount) : nil, buffers: values,
      children: children)
  }

  private func expectedBuffers(of type: DataType) -> Int {
    switch type {
    case .string, .binary: 3
    case .structure: 1
    default: 2
    }
  }

  private func valueBuffers(
    _ buffers: UnsafeMutablePointer<UnsafeRawPointer?>, type: DataType, end: Int
  ) throws(FileFormatError) -> [Buffer] {
    if case .structure = type { return [] }
    guard let first = unsafe buffers[1] else {
      // Arrow leaves out the buffers of no values.
      guard end == 0 || type == .fixedSizeBinary(0) else { throw malformed("values are missing") }
      let empty = Buffer(copying: [0] as [Int32])
      return type == .string || type == .binary ? [empty, empty] : [empty]
    }
    switch type {
    case .boolean: return unsafe [owner.buffer(first, count: Bitmap.byteCount(end))]
    case .list, .map: return unsafe [owner.buffer(first, count: (end + 1) * 4)]
    case .string, .binary:
      let last = unsafe first.load(fromByteOffset: end * 4, as: Int32.self)
      let bytes = unsafe buffers[2]
      return unsafe [
        owner.buffer(first, count: (end + 1) * 4), owner.buffer(bytes, count: max(0, Int(last))),
      ]
    default: return unsafe [owner.buffer(first, count: end * (type.byteWidth ?? 0))]
    }
  }

  private func children(
    of array: ArrowArray, type: DataType
  ) throws(FileFormatError) -> [Column] {
    let types: [DataType] =
      switch type {
      case .list(let element): [element.type]
      case .map(let key, let value): [.structure([key, value])]
      case .structure(let fields): fields.map(\.type)
      default: []
      }
    guard unsafe array.n_children == Int64(types.count) else {
      throw malformed("\(unsafe array.n_children) children for \(type)")
    }
    var columns: [Column] = []
    for (index, type) in types.enumerated() {
      columns.append(unsafe try column(array.children?[index], type: type))
    }
    return columns
  }
}
