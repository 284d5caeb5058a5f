// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because everything in it is built with the fuzzer's and the sanitizer's
// instrumentation, which fstore itself never has. `make fuzz` builds and runs it.

let package = Package(
  name: "fstore-fuzz",
  dependencies: [.package(name: "fstore", path: "../..")],
  targets: [
    .executableTarget(
      name: "fuzz",
      dependencies: [
        .product(name: "OnlineStore", package: "fstore"),
        .product(name: "Parsers", package: "fstore"),
        .product(name: "TestSupport", package: "fstore"),
      ],
      path: "Sources",
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableExperimentalFeature("Lifetimes"),
        .treatAllWarnings(as: .error),
      ])
  ]
)
