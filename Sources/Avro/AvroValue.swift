/// Any Avro value as a tree: for tools and tests, not for manifests by the million.
public indirect enum AvroValue: Hashable, Sendable {
  case null
  case boolean(Bool)
  case int(Int32)
  case long(Int64)
  case float(Float)
  case double(Double)
  case bytes([UInt8])
  case string(String)
  case fixed([UInt8])
  case enumeration(Int)
  /// Values in the order of the schema's fields.
  case record([AvroValue])
  case array([AvroValue])
  case map([String: AvroValue])
  case union(Int, AvroValue)
}

extension AvroDecoder {
  /// Reads a value of any schema.
  public mutating func readValue(_ schema: AvroSchema) throws(AvroError) -> AvroValue {
    switch schema.shape {
    case .null: return .null
    case .boolean: return .boolean(try readBoolean())
    case .int: return .int(try readInt())
    case .long: return .long(try readLong())
    case .float: return .float(try readFloat())
    case .double: return .double(try readDouble())
    case .bytes: return .bytes(try readBytes())
    case .string: return .string(try readString())
    case .fixed(_, let size): return .fixed(try readFixed(size))
    case .enumeration(_, let symbols):
      let index = try readLong()
      guard index >= 0, index < Int64(symbols.count) else { throw error("no symbol \(index)") }
      return .enumeration(Int(index))
    case .record(_, let fields):
      var values: [AvroValue] = []
      for field in fields { values.append(try readValue(field.schema)) }
      return .record(values)
    case .array(let items):
      var values: [AvroValue] = []
      let limit = remaining
      while case let count = try readBlockCount(), count > 0 {
        // Items may take no bytes, and blocks may be many.
        guard count <= limit - values.count else { throw error("more items than bytes") }
        for _ in 0..<count { values.append(try readValue(items)) }
      }
      return .array(values)
    case .map(let items):
      var values: [String: AvroValue] = [:]
      while case let count = try readBlockCount(), count > 0 {
        for _ in 0..<count {
          let key = try readString()
          values[key] = try readValue(items)
        }
      }
      return .map(values)
    case .union(let branches):
      let branch = try readLong()
      guard branch >= 0, branch < Int64(branches.count) else {
        throw error("a union has no branch \(branch)")
      }
      return .union(Int(branch), try readValue(branches[Int(branch)]))
    }
  }
}

extension AvroEncoder {
  /// Writes a value, which must have the shape of its schema: nothing is checked.
  public mutating func writeValue(_ value: AvroValue) {
    switch value {
    case .null: break
    case .boolean(let value): writeBoolean(value)
    case .int(let value): writeInt(value)
    case .long(let value): writeLong(value)
    case .float(let value): writeFloat(value)
    case .double(let value): writeDouble(value)
    case .bytes(let value): writeBytes(value)
    case .string(let value): writeString(value)
    case .fixed(let value): writeFixed(value)
    case .enumeration(let index): writeLong(Int64(index))
    case .record(let values): for value in values { writeValue(value) }
    case .array(let values):
      writeBlockCount(values.count)
      for value in values { writeValue(value) }
      writeBlockEnd()
    case .map(let values):
      writeBlockCount(values.count)
      for (key, value) in values {
        writeString(key)
        writeValue(value)
      }
      writeBlockEnd()
    case .union(let branch, let value):
      writeLong(Int64(branch))
      writeValue(value)
    }
  }
}
