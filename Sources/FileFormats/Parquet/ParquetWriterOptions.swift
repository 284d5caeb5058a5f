public import Columnar

/// How one leaf column is written.
public struct ParquetColumnOptions: Hashable, Sendable {
  public enum Encoding: Hashable, Sendable {
    case plain
    /// A dictionary, given up for plain values when it grows beyond a page.
    case dictionary
    /// Differences: for integers that grow, such as times and sequence numbers.
    case deltaBinaryPacked
    /// The bytes of numbers transposed: smaller for floating-point values after compression.
    case byteStreamSplit
  }

  public var encoding: Encoding
  /// Smallest and greatest values and null counts. Default: written.
  public var hasStatistics: Bool
  /// A filter that says "certainly not in here": for identifiers. Default: none.
  public var bloomFilter: BloomFilter?
  /// Marks 16-byte values as UUIDs. Default: not.
  public var isUUID: Bool
  /// Whether its pages are compressed, where those of the file are. Default: they are.
  public var isCompressed = true

  public struct BloomFilter: Hashable, Sendable {
    /// Distinct values expected in a row group; nil stands for as many as rows.
    public var distinctCount: Int?
    /// How often the filter says "perhaps" of what is not there. Default: 1 in 100.
    public var falsePositiveProbability: Double

    public init(distinctCount: Int? = nil, falsePositiveProbability: Double = 0.01) {
      self.distinctCount = distinctCount
      self.falsePositiveProbability = falsePositiveProbability
    }
  }

  public init(
    encoding: Encoding, hasStatistics: Bool = true, bloomFilter: BloomFilter? = nil,
    isUUID: Bool = false
  ) {
    self.encoding = encoding
    self.hasStatistics = hasStatistics
    self.bloomFilter = bloomFilter
    self.isUUID = isUUID
  }

  /// What a column of this type gets unless told otherwise: text, integers and dates repeat and get a
  /// dictionary (which pays for itself or is given up); floating-point values, decimals and fixed bytes
  /// rarely do, and the attempt costs time.
  public static func standard(for type: DataType) -> ParquetColumnOptions {
    switch type {
    case .boolean, .float32, .float64, .decimal, .fixedSizeBinary:
      ParquetColumnOptions(encoding: .plain)
    default: ParquetColumnOptions(encoding: .dictionary)
    }
  }
}

/// How a Parquet file is written.
public struct ParquetWriterOptions: Sendable {
  public enum Compression: Hashable, Sendable {
    /// For all columns.
    case none
    case zstandard(level: Int)
    case snappy
  }

  /// Default: zstandard, level 3.
  public var compression = Compression.zstandard(level: 3)
  /// The most rows of a row group. Default: 1,048,576. The caller may end one earlier.
  public var rowGroupRows = 1 << 20
  /// About how many bytes a page has before compression. Default: 1 MiB.
  public var pageBytes = 1 << 20
  /// The most rows of a page. Default: 20,000. What reads few rows decodes less of smaller pages.
  public var pageRows = 20_000
  /// How large a dictionary may become before plain values follow. Default: 1 MiB.
  public var dictionaryBytes = 1 << 20
  /// Bounds of every page, for readers that skip pages. Default: written.
  public var hasPageIndex = true
  /// A CRC-32 of every page, so that a flipped bit is found. Default: written.
  public var hasPageChecksums = true
  /// A checksum of the footer, and one of bloom filters and page index, in the key-value metadata, so that a
  /// flipped bit in these is found too by who knows of them: `ParquetReader` does. Default: not written.
  public var hasFooterChecksums = false
  /// Whether the columns of a batch are encoded in parallel, by as many threads as there are processors. The
  /// file is the same. Default: not, which is as fast for small batches.
  public var usesThreads = false
  /// The columns that are not as `ParquetColumnOptions.standard(for:)` has it, by field id.
  public var columnsByFieldID: [Int32: ParquetColumnOptions] = [:]
  /// The same by path with dots, for files without field ids.
  public var columnsByPath: [String: ParquetColumnOptions] = [:]
  /// Key-value metadata of the file.
  public var metadata: [(key: String, value: String)] = []
  /// The program's name in the file.
  public var createdBy = "fstore"

  public init() {}

  func column(_ leaf: SchemaLeaf) -> ParquetColumnOptions {
    if let id = leaf.field.fieldID, let options = columnsByFieldID[id] { return options }
    return columnsByPath[leaf.path.joined(separator: ".")] ?? .standard(for: leaf.field.type)
  }
}
