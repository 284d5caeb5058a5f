import CArrow
import Columnar

/// Memory of one exported ArrowSchema, freed by its release callback.
@safe private final class ExportedSchema {
  private var strings: [UnsafeMutablePointer<CChar>] = unsafe []
  private var children: UnsafeMutableBufferPointer<UnsafeMutablePointer<ArrowSchema>?>?

  /// A copy of `bytes` and a zero after them.
  func text(_ bytes: some Collection<UInt8>) -> UnsafePointer<CChar> {
    let memory = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
    for (index, byte) in bytes.enumerated() { unsafe memory[index] = CChar(bitPattern: byte) }
    unsafe memory[bytes.count] = 0
    unsafe strings.append(memory)
    return unsafe UnsafePointer(memory)
  }

  func adopt(
    _ schemas: [ArrowSchema]
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<ArrowSchema>?>? {
    guard unsafe !schemas.isEmpty else { return nil }
    let pointers = unsafe UnsafeMutableBufferPointer<UnsafeMutablePointer<ArrowSchema>?>
      .allocate(capacity: schemas.count)
    for index in unsafe schemas.indices {
      let child = UnsafeMutablePointer<ArrowSchema>.allocate(capacity: 1)
      unsafe child.initialize(to: schemas[index])
      unsafe pointers.initializeElement(at: index, to: child)
    }
    unsafe children = pointers
    return pointers.baseAddress
  }

  deinit {
    for index in unsafe strings.indices { unsafe strings[index].deallocate() }
    guard let children = unsafe children else { return }
    for index in children.indices {
      guard let child = unsafe children[index] else { continue }
      // A child that was moved out has no release left.
      if let release = unsafe child.pointee.release { unsafe release(child) }
      unsafe child.deallocate()
    }
    unsafe children.deallocate()
  }
}

/// What a field says beyond its type, as Arrow's schema metadata.
private let fieldIDKey = "PARQUET:field_id"

/// Exports a schema as the struct that stands for its batches.
///
/// - Parameter uuids: paths of 16-byte columns that are UUIDs to the format written.
func exportSchema(_ schema: Schema, uuids: Set<[String]> = []) -> ArrowSchema {
  unsafe exportField(Field("", .structure(schema.fields), isNullable: false), path: [], uuids)
}

private func exportField(_ field: Field, path: [String], _ uuids: Set<[String]>) -> ArrowSchema {
  let memory = ExportedSchema()
  var metadata: [(String, String)] = []
  if let id = field.fieldID { metadata.append((fieldIDKey, String(id))) }
  if uuids.contains(path) {
    metadata.append(("ARROW:extension:name", "arrow.uuid"))
    metadata.append(("ARROW:extension:metadata", ""))
  }
  let children: [Field] =
    switch field.type {
    case .list(let element): [element]
    case .structure(let fields): fields
    case .map(let key, let value):
      [Field("key_value", .structure([key, value]), isNullable: false)]
    default: []
    }
  let exported = unsafe children.map { child in
    // The entries of a map are no level of their own in a path.
    let childPath = if case .map = field.type { path } else { path + [child.name] }
    return unsafe exportField(child, path: childPath, uuids)
  }
  return unsafe ArrowSchema(
    format: memory.text(format(of: field.type).utf8), name: memory.text(field.name.utf8),
    metadata: metadata.isEmpty ? nil : memory.text(encoded(metadata)),
    flags: field.isNullable ? Int64(ARROW_FLAG_NULLABLE) : 0, n_children: Int64(exported.count),
    children: memory.adopt(exported), dictionary: nil,
    release: { schema in
      guard let schema = unsafe schema, let data = unsafe schema.pointee.private_data else {
        return
      }
      unsafe Unmanaged<ExportedSchema>.fromOpaque(data).release()
      unsafe schema.pointee.release = nil
    }, private_data: Unmanaged.passRetained(memory).toOpaque())
}

/// Arrow's format string of a type.
private func format(of type: DataType) -> String {
  switch type {
  case .boolean: "b"
  case .int32: "i"
  case .int64: "l"
  case .float32: "f"
  case .float64: "g"
  case .string: "u"
  case .binary: "z"
  case .fixedSizeBinary(let width): "w:\(width)"
  case .date: "tdD"
  case .time: "ttu"
  case .timestamp(let isUTC): isUTC ? "tsu:UTC" : "tsu:"
  case .timestampNanoseconds(let isUTC): isUTC ? "tsn:UTC" : "tsn:"
  case .decimal(let precision, let scale): "d:\(precision),\(scale)"
  case .list: "+l"
  case .structure: "+s"
  case .map: "+m"
  }
}

/// Key-value pairs as Arrow's C data interface wants them.
private func encoded(_ metadata: [(String, String)]) -> [UInt8] {
  var bytes: [UInt8] = []
  func append(_ count: Int) {
    unsafe withUnsafeBytes(of: Int32(truncatingIfNeeded: count)) {
      unsafe bytes.append(contentsOf: $0)
    }
  }
  append(metadata.count)
  for (key, value) in metadata {
    append(key.utf8.count)
    bytes.append(contentsOf: key.utf8)
    append(value.utf8.count)
    bytes.append(contentsOf: value.utf8)
  }
  return bytes
}
