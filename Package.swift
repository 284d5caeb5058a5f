// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: Swift 6 mode, explicit existentials, imports that do not leak,
/// every unsafe construct marked, no warnings.
let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

/// Tests prove behaviour; they need not mark what the sources mark.
let testSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: testSettings)
}

let package = Package(
  name: "fstore",
  products: [
    .library(name: "FeatureStore", targets: ["FeatureStore"]),
    .library(name: "Iceberg", targets: ["Iceberg", "Columnar", "FileFormats", "Storage", "JSON"]),
    .library(name: "IcebergREST", targets: ["IcebergREST"]),
    .library(
      name: "OnlineStore", targets: ["OnlineStore", "WriteAheadLog", "FeatureModel", "Storage"]),
    .executable(name: "fstore", targets: ["fstore"]),
    // For the fuzz targets, which are a package of their own: Tests/Fuzz.
    .library(name: "TestSupport", targets: ["TestSupport"]),
    .library(name: "Parsers", targets: ["Avro", "FileFormats", "JSON"]),
  ],
  targets: [
    // System libraries, and the C that Swift cannot express.
    .systemLibrary(name: "CParquetLibrary", pkgConfig: "parquet"),
    .systemLibrary(name: "CArrowComputeLibrary", pkgConfig: "arrow-compute"),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl"),
    .target(name: "CHTTP", dependencies: ["CCurl"]),
    .target(name: "CSystem"),
    .target(name: "CArrow", dependencies: ["CParquetLibrary", "CArrowComputeLibrary", "CZstd"]),

    // The rooms; docs/architecture.md says what each is for.
    room("JSON"),
    room("FeatureModel", ["JSON", "Columnar"]),
    room("Storage", ["CSystem"]),
    room("Columnar"),
    room("Avro", ["JSON", "Storage", "CZstd", "CZlib"]),
    room("FileFormats", ["Columnar", "Storage", "JSON", "CArrow"]),
    room("WriteAheadLog", ["Storage"]),
    room("OnlineStore", ["FeatureModel", "WriteAheadLog", "Storage"]),
    room("Iceberg", ["Avro", "Columnar", "FileFormats", "JSON", "Storage", "CSQLite", "CZlib"]),
    room("IcebergREST", ["Iceberg", "JSON", "Storage", "CHTTP"]),
    room("PointInTime", ["Columnar", "Storage"]),
    room(
      "FeatureStore",
      [
        "FeatureModel", "Storage", "Columnar", "FileFormats", "WriteAheadLog", "OnlineStore",
        "Iceberg", "PointInTime", "JSON",
      ]),
    .executableTarget(
      name: "fstore",
      dependencies: ["FeatureStore", "FeatureModel", "Iceberg", "JSON", "OnlineStore", "Storage"],
      swiftSettings: swiftSettings),

    .target(
      name: "TestSupport",
      dependencies: [
        "Storage", "Columnar", "FeatureModel", "JSON", "OnlineStore", "WriteAheadLog",
      ],
      path: "Tests/TestSupport", swiftSettings: testSettings),
    .target(
      name: "LogSimulation", dependencies: ["WriteAheadLog", "Storage", "TestSupport"],
      path: "Tests/LogSimulation", swiftSettings: testSettings),
    .target(
      name: "StoreSimulation",
      dependencies: ["OnlineStore", "WriteAheadLog", "Storage", "TestSupport"],
      path: "Tests/StoreSimulation", swiftSettings: testSettings),
    .executableTarget(
      name: "simulate", dependencies: ["LogSimulation", "StoreSimulation", "WriteAheadLog"],
      path: "Tests/Simulate", swiftSettings: testSettings),
    .target(
      name: "TableSimulation", dependencies: ["Iceberg", "Storage", "TestSupport"],
      path: "Tests/TableSimulation", swiftSettings: testSettings),
    .executableTarget(
      name: "simulate-tables", dependencies: ["TableSimulation"], path: "Tests/SimulateTables",
      swiftSettings: testSettings),
    .executableTarget(
      name: "properties",
      dependencies: [
        "Avro", "Columnar", "FeatureModel", "JSON", "OnlineStore", "Storage", "TestSupport",
        "WriteAheadLog",
      ],
      path: "Tests/Properties", swiftSettings: testSettings),
    .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
    .executableTarget(
      name: "allocations",
      dependencies: ["CAllocationCount", "FeatureModel", "FeatureStore", "OnlineStore"],
      path: "Tests/Allocations", swiftSettings: testSettings),
    tests("JSONTests", ["JSON"]),
    tests("ColumnarTests", ["Columnar", "TestSupport"]),
    tests("FeatureModelTests", ["FeatureModel", "Columnar", "TestSupport"]),
    tests("StorageTests", ["Storage", "TestSupport"]),
    tests("WriteAheadLogTests", ["WriteAheadLog", "Storage", "LogSimulation", "TestSupport"]),
    tests(
      "OnlineStoreTests",
      [
        "OnlineStore", "FeatureModel", "WriteAheadLog", "Storage", "StoreSimulation", "TestSupport",
      ]),
    tests("AvroTests", ["Avro", "JSON", "TestSupport"]),
    tests("FileFormatsTests", ["FileFormats", "Columnar", "Storage", "JSON", "TestSupport"]),
    tests(
      "IcebergTests",
      [
        "Iceberg", "Avro", "Columnar", "FileFormats", "Storage", "JSON", "TableSimulation",
        "TestSupport",
      ]),
    tests(
      "MaintenanceTests",
      ["Iceberg", "Columnar", "FileFormats", "Storage", "JSON", "TestSupport"]),
    tests("PointInTimeTests", ["PointInTime", "Columnar", "TestSupport"]),
    tests(
      "FeatureStoreTests",
      [
        "FeatureStore", "FeatureModel", "Columnar", "FileFormats", "Iceberg", "OnlineStore",
        "Storage", "JSON", "TestSupport",
      ]),
    tests("CommandTests", ["fstore", "FeatureStore", "Iceberg", "Storage", "JSON"]),
    tests(
      "InteropTests",
      [
        "FeatureStore", "FeatureModel", "Iceberg", "IcebergREST", "Avro", "Columnar", "FileFormats",
        "Storage", "JSON", "TestSupport",
      ]),
    tests("TidyTests", ["JSON"]),
  ],
  cxxLanguageStandard: .cxx20
)
