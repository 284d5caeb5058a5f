import CArrow
import Columnar

/// Reads a schema that the glue exported (its types are those of Columnar already), and releases it.
func importSchema(_ schema: inout ArrowSchema, path: String) throws(FileFormatError) -> Schema {
  defer {
    if let release = unsafe schema.release { unsafe release(&schema) }
  }
  return Schema(try unsafe importFields(schema, path: path, depth: 0))
}

/// Nesting deeper than this is refused: recursion must end long before the stack does.
private let maximumDepth = 64

private func importFields(
  _ schema: ArrowSchema, path: String, depth: Int
) throws(FileFormatError) -> [Field] {
  guard depth < maximumDepth else {
    throw FileFormatError(.unsupported, path: path, message: "columns nested too deeply")
  }
  var fields: [Field] = []
  for index in 0..<Int(unsafe schema.n_children) {
    guard let child = unsafe schema.children?[index] else {
      throw FileFormatError(.malformed, path: path, message: "a schema without its children")
    }
    fields.append(unsafe try importField(child.pointee, path: path, depth: depth + 1))
  }
  return fields
}

private func importField(
  _ schema: ArrowSchema, path: String, depth: Int
) throws(FileFormatError) -> Field {
  let name = unsafe schema.name.map { unsafe String(cString: $0) } ?? ""
  let format = unsafe schema.format.map { unsafe String(cString: $0) } ?? ""
  let children = unsafe try importFields(schema, path: path, depth: depth)
  guard let type = dataType(format: format, children: children) else {
    throw FileFormatError(
      .unsupported, path: path, message: "column '\(name)' has the Arrow type '\(format)'")
  }
  let isNullable = unsafe schema.flags & Int64(ARROW_FLAG_NULLABLE) != 0
  return Field(
    name, type, isNullable: isNullable, fieldID: unsafe fieldID(in: schema.metadata))
}

private func dataType(format: String, children: [Field]) -> DataType? {
  switch format {
  case "b": return .boolean
  case "i": return .int32
  case "l": return .int64
  case "f": return .float32
  case "g": return .float64
  case "u": return .string
  case "z": return .binary
  case "tdD": return .date
  case "ttu": return .time
  case "+l": return children.count == 1 ? .list(children[0]) : nil
  case "+s": return .structure(children)
  case "+m":
    guard children.count == 1, case .structure(let entry) = children[0].type, entry.count == 2
    else { return nil }
    return .map(key: entry[0], value: entry[1])
  default: break
  }
  if format.hasPrefix("tsu:") { return .timestamp(isUTC: format.utf8.count > 4) }
  if format.hasPrefix("tsn:") { return .timestampNanoseconds(isUTC: format.utf8.count > 4) }
  if format.hasPrefix("w:") { return Int(format.dropFirst(2)).map { .fixedSizeBinary($0) } }
  if format.hasPrefix("d:") {
    let parts = format.dropFirst(2).split(separator: ",").map { Int($0) }
    guard parts.count == 2 || parts.count == 3 && parts[2] == 128, let precision = parts[0],
      let scale = parts[1]
    else { return nil }
    return .decimal(precision: precision, scale: scale)
  }
  return nil
}

/// The field id among a field's metadata: a count, then keys and values with their lengths.
private func fieldID(in metadata: UnsafePointer<CChar>?) -> Int32? {
  guard let metadata = unsafe metadata else { return nil }
  var next = unsafe UnsafeRawPointer(metadata)
  func length() -> Int {
    defer { unsafe next += 4 }
    return unsafe max(0, Int(next.loadUnaligned(as: Int32.self)))
  }
  func text() -> String {
    let count = length()
    defer { unsafe next += count }
    return unsafe String(
      decoding: UnsafeRawBufferPointer(start: next, count: count), as: UTF8.self)
  }
  for _ in 0..<length() {
    let key = text()
    let value = text()
    if key == "PARQUET:field_id" { return Int32(value).flatMap { $0 >= 0 ? $0 : nil } }
  }
  return nil
}
