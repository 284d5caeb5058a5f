/// What a data or delete file contains.
public enum FileContent: Int32, Hashable, Sendable {
  case data = 0
  case positionDeletes = 1
  case equalityDeletes = 2
}

/// The format of a data or delete file.
public enum DataFileFormat: Hashable, Sendable {
  case parquet
  case avro
  case orc
  /// The container of deletion vectors.
  case puffin
  case other(String)

  /// The name in a manifest, in any case.
  public init(name: String) {
    switch name.lowercased() {
    case "parquet": self = .parquet
    case "avro": self = .avro
    case "orc": self = .orc
    case "puffin": self = .puffin
    default: self = .other(name)
    }
  }

  /// The name that Java writes.
  public var name: String {
    switch self {
    case .parquet: "PARQUET"
    case .avro: "AVRO"
    case .orc: "ORC"
    case .puffin: "PUFFIN"
    case .other(let name): name
    }
  }
}

/// A data or delete file as a manifest describes it.
public struct DataFile: Hashable, Sendable {
  public var content: FileContent
  /// The full location, with its scheme.
  public var path: String
  public var format: DataFileFormat
  /// The id of the partition spec that `partition` follows.
  public var specID: Int32
  /// One value a field of the spec; nil is null. Values follow the spec of `specID`.
  public var partition: [Literal?]
  public var recordCount: Int64
  public var fileSizeInBytes: Int64
  /// Bytes on disk by field id; a missing key means unknown, here and in all maps below.
  public var columnSizes: [Int32: Int64]
  /// Values by field id, nulls and NaNs included.
  public var valueCounts: [Int32: Int64]
  public var nullValueCounts: [Int32: Int64]
  public var nanValueCounts: [Int32: Int64]
  /// Bounds by field id, as `Literal(boundBytes:type:)` reads them; empty bytes are a bound.
  public var lowerBounds: [Int32: [UInt8]]
  public var upperBounds: [Int32: [UInt8]]
  /// How the file's key is encrypted; a file with it cannot be read here.
  public var keyMetadata: [UInt8]?
  /// Byte offsets at which the file may be split, ascending.
  public var splitOffsets: [Int64]
  /// The columns that an equality delete file compares.
  public var equalityIDs: [Int32]
  public var sortOrderID: Int32?
  /// The row id of the file's first row (format version 3).
  public var firstRowID: Int64?
  /// The one data file that a delete file refers to.
  public var referencedDataFile: String?
  /// Where in the file a deletion vector starts, and its length.
  public var contentOffset: Int64?
  public var contentSizeInBytes: Int64?

  public init(
    content: FileContent = .data, path: String, format: DataFileFormat = .parquet,
    specID: Int32 = 0, partition: [Literal?] = [], recordCount: Int64, fileSizeInBytes: Int64
  ) {
    self.content = content
    self.path = path
    self.format = format
    self.specID = specID
    self.partition = partition
    self.recordCount = recordCount
    self.fileSizeInBytes = fileSizeInBytes
    columnSizes = [:]
    valueCounts = [:]
    nullValueCounts = [:]
    nanValueCounts = [:]
    lowerBounds = [:]
    upperBounds = [:]
    splitOffsets = []
    equalityIDs = []
  }

  var partitionKey: PartitionKey { PartitionKey(specID: specID, values: partition) }

  /// Whether this is a deletion vector rather than a file of deleted positions.
  public var isDeletionVector: Bool { content == .positionDeletes && format == .puffin }

  /// The lower bound of a column as a value; nil when there is none, or none that can be read:
  /// a missing bound only means that nothing is skipped.
  public func lowerBound(of field: NestedField) -> Literal? {
    Literal(bound: lowerBounds[field.id], type: field.type)
  }

  public func upperBound(of field: NestedField) -> Literal? {
    Literal(bound: upperBounds[field.id], type: field.type)
  }
}

extension Literal {
  /// A bound that may be absent or unreadable: both mean "unknown".
  fileprivate init?(bound: [UInt8]?, type: IcebergType) {
    guard let bound else { return nil }
    do {
      self = try Literal(boundBytes: bound, type: type)
    } catch {
      return nil
    }
    if isNaN { return nil }
  }
}

/// One partition of one spec.
struct PartitionKey: Hashable {
  var specID: Int32
  var values: [Literal?]
}
