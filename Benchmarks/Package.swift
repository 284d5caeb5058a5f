// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that fstore itself never needs the peers. `make bench-online` installs them and runs it.

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "fstore-benchmarks",
  dependencies: [.package(name: "fstore", path: "..")],
  targets: [
    .systemLibrary(name: "CRocksDB", path: "online/CRocksDB"),
    .systemLibrary(name: "CLMDB", path: "online/CLMDB"),
    .systemLibrary(name: "CSQLitePeer", path: "online/CSQLitePeer"),
    .target(name: "CFlatIndex", path: "online/CFlatIndex"),
    .executableTarget(
      name: "online-benchmark",
      dependencies: [
        .product(name: "OnlineStore", package: "fstore"),
        .product(name: "FeatureStore", package: "fstore"), "CRocksDB", "CLMDB", "CSQLitePeer",
        "CFlatIndex",
      ],
      path: "online/Sources", swiftSettings: settings),
    .target(
      name: "BenchmarkSupport", dependencies: [.product(name: "TestSupport", package: "fstore")],
      path: "support", swiftSettings: settings),
    .executableTarget(
      name: "maintenance-benchmark",
      dependencies: ["BenchmarkSupport", .product(name: "Iceberg", package: "fstore")],
      path: "maintenance/Sources", swiftSettings: settings),
    .executableTarget(
      name: "latest-benchmark",
      dependencies: [
        "BenchmarkSupport", .product(name: "FeatureStore", package: "fstore"),
        .product(name: "Iceberg", package: "fstore"),
      ],
      path: "maintenance/Latest", swiftSettings: settings),
    .executableTarget(
      name: "iceberg-benchmark",
      dependencies: ["BenchmarkSupport", .product(name: "Iceberg", package: "fstore")],
      path: "iceberg/Sources", swiftSettings: settings),
  ]
)
