// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that fstore itself is never built with the fuzzer's and the sanitizer's
// instrumentation. `make fuzz` builds and runs it.

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

let rooms: [Target.Dependency] = [
  .product(name: "OnlineStore", package: "fstore"),
  .product(name: "Iceberg", package: "fstore"),
  .product(name: "Parsers", package: "fstore"),
  .product(name: "TestSupport", package: "fstore"),
]

let package = Package(
  name: "fstore-fuzz",
  dependencies: [.package(name: "fstore", path: "../..")],
  targets: [
    .executableTarget(
      name: "fuzz", dependencies: rooms, path: "Sources", swiftSettings: settings)
  ]
)
