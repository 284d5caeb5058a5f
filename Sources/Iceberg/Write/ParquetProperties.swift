import Columnar
import FileFormats

/// How a table's properties (`write.parquet.*`) want data files written.
///
/// A value that cannot be understood is an error that names the property: a table written otherwise
/// than its owner asked for would surprise later.
struct ParquetProperties {
  private(set) var options = ParquetWriterOptions()
  /// A row group is ended when it holds so many bytes.
  private(set) var rowGroupSizeBytes: Int64 = 128 << 20

  private static let prefix = "write.parquet."

  init(_ properties: [String: String], _ schema: TableSchema) throws(IcebergError) {
    let reader = PropertyReader(properties)
    let level = try reader.integer("compression-level", in: 1...22)
    options.compression = try ParquetProperties.compression(
      properties[ParquetProperties.prefix + "compression-codec"], level: level)
    if let size = try reader.integer("row-group-size-bytes", in: 1...(1 << 40)) {
      rowGroupSizeBytes = size
    }
    if let rows = try reader.integer("row-group-limit", in: 1...Int64(Int32.max)) {
      options.rowGroupRows = Int(rows)
    }
    if let size = try reader.integer("page-size-bytes", in: 1...(1 << 30)) {
      options.pageBytes = Int(size)
    }
    if let rows = try reader.integer("page-row-limit", in: 1...Int64(Int32.max)) {
      options.pageRows = Int(rows)
    }
    if let size = try reader.integer("dict-size-bytes", in: 1...(1 << 30)) {
      options.dictionaryBytes = Int(size)
    }
    try setBloomFilters(reader, schema)
  }

  private static func compression(
    _ codec: String?, level: Int64?
  ) throws(IcebergError) -> ParquetWriterOptions.Compression {
    switch codec?.lowercased() ?? "zstd" {
    // Level 3 takes half as long again as level 1 for files that are 4 % smaller.
    case "zstd": return .zstandard(level: Int(level ?? 1))
    case "snappy": return .snappy
    case "uncompressed", "none": return .none
    case let other:
      throw IcebergError(
        .unsupported,
        "\(prefix)compression-codec is '\(other)'; zstd, snappy and uncompressed are written")
    }
  }

  /// Columns that identify rows have a bloom filter unless the properties say otherwise; others have
  /// one if the properties say so.
  private mutating func setBloomFilters(
    _ reader: PropertyReader, _ schema: TableSchema
  ) throws(IcebergError) {
    for id in schema.allFieldIDs.sorted() {
      guard let field = schema.field(id: id), let name = schema.name(ofID: id) else { continue }
      let isWanted =
        try reader.flag("bloom-filter-enabled.column." + name)
        ?? schema.identifierFieldIDs.contains(id)
      guard isWanted else { continue }
      guard field.type.isPrimitive, field.type != .boolean else {
        throw IcebergError(
          .invalidArgument,
          "\(ParquetProperties.prefix)bloom-filter-enabled.column.\(name): a column of type"
            + " \(field.type) has no bloom filter")
      }
      var filter = ParquetColumnOptions.BloomFilter()
      if let probability = try reader.fraction("bloom-filter-fpp.column." + name) {
        filter.falsePositiveProbability = probability
      }
      if let count = try reader.integer(
        "bloom-filter-ndv.column." + name, in: 1...Int64(Int32.max))
      {
        filter.distinctCount = Int(count)
      }
      var column = ParquetColumnOptions.standard(for: field.type.dataType)
      column.bloomFilter = filter
      options.columnsByFieldID[id] = column
    }
  }

  private struct PropertyReader {
    let properties: [String: String]

    init(_ properties: [String: String]) { self.properties = properties }

    func integer(
      _ name: String, in range: ClosedRange<Int64>
    ) throws(IcebergError) -> Int64? {
      guard let text = properties[prefix + name] else { return nil }
      guard let value = Int64(text), range.contains(value) else {
        throw refuse(name, text, "a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }

    func fraction(_ name: String) throws(IcebergError) -> Double? {
      guard let text = properties[prefix + name] else { return nil }
      guard let value = Double(text), value > 0, value < 1 else {
        throw refuse(name, text, "a number between 0 and 1")
      }
      return value
    }

    func flag(_ name: String) throws(IcebergError) -> Bool? {
      switch properties[prefix + name]?.lowercased() {
      case nil: return nil
      case "true": return true
      case "false": return false
      case let text?: throw refuse(name, text, "true or false")
      }
    }

    private func refuse(_ name: String, _ text: String, _ wanted: String) -> IcebergError {
      IcebergError(.invalidArgument, "\(prefix)\(name) is '\(text)', not \(wanted)")
    }
  }
}
