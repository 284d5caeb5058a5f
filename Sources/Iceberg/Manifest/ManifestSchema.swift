import Avro
import JSON
import Storage

/// The fields of manifests and manifest lists, by format version, in the order in which Java
/// writes them. Documentation texts are Java's, so that headers are equal to its headers.
enum ManifestSchema {
  /// A line of a manifest whose partition tuple has these fields.
  static func entry(formatVersion: Int, partition: [NestedField]) -> [NestedField] {
    [
      .required(0, "status", .int), .optional(1, "snapshot_id", .long),
      .optional(3, "sequence_number", .long), .optional(4, "file_sequence_number", .long),
      .required(
        2, "data_file",
        .structure(dataFile(formatVersion: formatVersion, partition: partition))),
    ]
  }

  private static func dataFile(formatVersion: Int, partition: [NestedField]) -> [NestedField] {
    var fields: [NestedField] = [
      .required(
        134, "content", .int,
        doc: "Contents of the file: 0=data, 1=position deletes, 2=equality deletes"),
      .required(100, "file_path", .string, doc: "Location URI with FS scheme"),
      .required(101, "file_format", .string, doc: "File format name: avro, orc, or parquet"),
      .required(
        102, "partition", .structure(partition),
        doc: "Partition data tuple, schema based on the partition spec"),
      .required(103, "record_count", .long, doc: "Number of records in the file"),
      .required(104, "file_size_in_bytes", .long, doc: "Total file size in bytes"),
      counts(108, "column_sizes", 117, doc: "Map of column id to total size on disk"),
      counts(
        109, "value_counts", 119, doc: "Map of column id to total count, including null and NaN"),
      counts(110, "null_value_counts", 121, doc: "Map of column id to null value count"),
      counts(
        137, "nan_value_counts", 138, doc: "Map of column id to number of NaN values in the column"),
      bounds(125, "lower_bounds", 126, doc: "Map of column id to lower bound"),
      bounds(128, "upper_bounds", 129, doc: "Map of column id to upper bound"),
      .optional(131, "key_metadata", .binary, doc: "Encryption key metadata blob"),
      .optional(
        132, "split_offsets", .list(element: .required(133, "element", .long)),
        doc: "Splittable offsets"),
      .optional(
        135, "equality_ids", .list(element: .required(136, "element", .int)),
        doc: "Equality comparison field IDs"),
      .optional(140, "sort_order_id", .int, doc: "Sort order ID"),
    ]
    if formatVersion >= 3 {
      fields.append(
        .optional(
          142, "first_row_id", .long,
          doc: "The first row ID assigned to the first row in the data file"))
    }
    fields.append(
      .optional(
        143, "referenced_data_file", .string,
        doc: "Fully qualified location (URI with FS scheme) of a data file that all deletes"
          + " reference"))
    if formatVersion >= 3 {
      fields += [
        .optional(
          144, "content_offset", .long, doc: "The offset in the file where the content starts"),
        .optional(
          145, "content_size_in_bytes", .long,
          doc: "The length of referenced content stored in the file"),
      ]
    }
    return fields
  }

  private static func counts(
    _ id: Int32, _ name: String, _ keyID: Int32, doc: String
  ) -> NestedField {
    .optional(
      id, name,
      .map(key: .required(keyID, "key", .int), value: .required(keyID + 1, "value", .long)),
      doc: doc)
  }

  private static func bounds(
    _ id: Int32, _ name: String, _ keyID: Int32, doc: String
  ) -> NestedField {
    .optional(
      id, name,
      .map(key: .required(keyID, "key", .int), value: .required(keyID + 1, "value", .binary)),
      doc: doc)
  }

  /// A line of a manifest list.
  static func manifestFile(formatVersion: Int) -> [NestedField] {
    var fields: [NestedField] = [
      .required(500, "manifest_path", .string, doc: "Location URI with FS scheme"),
      .required(501, "manifest_length", .long, doc: "Total file size in bytes"),
      .required(502, "partition_spec_id", .int, doc: "Spec ID used to write"),
      .required(517, "content", .int, doc: "Contents of the manifest: 0=data, 1=deletes"),
      .required(515, "sequence_number", .long, doc: "Sequence number when the manifest was added"),
      .required(516, "min_sequence_number", .long, doc: "Lowest sequence number in the manifest"),
      .required(503, "added_snapshot_id", .long, doc: "Snapshot ID that added the manifest"),
      .required(504, "added_files_count", .int, doc: "Added entry count"),
      .required(505, "existing_files_count", .int, doc: "Existing entry count"),
      .required(506, "deleted_files_count", .int, doc: "Deleted entry count"),
      .required(512, "added_rows_count", .long, doc: "Added rows count"),
      .required(513, "existing_rows_count", .long, doc: "Existing rows count"),
      .required(514, "deleted_rows_count", .long, doc: "Deleted rows count"),
      .optional(
        507, "partitions", .list(element: .required(508, "element", .structure(summary))),
        doc: "Summary for each partition"),
      .optional(519, "key_metadata", .binary, doc: "Encryption key metadata blob"),
    ]
    if formatVersion >= 3 {
      fields.append(
        .optional(
          520, "first_row_id", .long,
          doc: "Starting row ID to assign to new rows in ADDED data files"))
    }
    return fields
  }

  private static let summary: [NestedField] = [
    .required(
      509, "contains_null", .boolean, doc: "True if any file has a null partition value"),
    .optional(518, "contains_nan", .boolean, doc: "True if any file has a nan partition value"),
    .optional(510, "lower_bound", .binary, doc: "Partition lower bound for all files"),
    .optional(511, "upper_bound", .binary, doc: "Partition upper bound for all files"),
  ]
}

extension IcebergError {
  /// What went wrong in an Avro file, as an error of the table.
  init(_ error: AvroError) { self.init(.invalidMetadata, error.description) }
}

// What the header of a file says about its schema.
extension ManifestSchema {
  /// The schema as Avro's JSON and as Iceberg's.
  struct Texts: Sendable {
    let avro: [UInt8]
    let iceberg: String

    fileprivate init(_ fields: [NestedField], recordName: String) {
      avro = IcebergType.structure(fields).avroSchema(recordName: recordName).json.utf8()
      iceberg = TableSchema(fields: fields).json.text()
    }
  }

  private struct Partitioned: Equatable, Sendable {
    let formatVersion: Int
    let partition: [NestedField]
  }

  /// A commit writes a few small files, of which making these texts would be a good part.
  private static let entryTexts = SmallCache<Partitioned, Texts>(capacity: 8)
  private static let manifestFileTexts = SmallCache<Int, Texts>(capacity: 2)

  static func entryTexts(formatVersion: Int, partition: [NestedField]) -> Texts {
    entryTexts.value(Partitioned(formatVersion: formatVersion, partition: partition)) {
      Texts(entry(formatVersion: formatVersion, partition: partition), recordName: "manifest_entry")
    }
  }

  static func manifestFileTexts(formatVersion: Int) -> Texts {
    manifestFileTexts.value(formatVersion) {
      Texts(manifestFile(formatVersion: formatVersion), recordName: "manifest_file")
    }
  }
}
