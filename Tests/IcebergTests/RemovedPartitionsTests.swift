import Foundation
import Iceberg
import Testing

/// A commit that removes files reads the manifests that may list them, and no others.
@Suite struct RemovedPartitionsTests {
  private let spec = PartitionSpec(
    specID: 0,
    fields: [
      PartitionField(sourceID: 4, fieldID: 1000, name: "name", transform: .identity),
      PartitionField(sourceID: 3, fieldID: 1001, name: "x", transform: .identity),
    ])

  private func file(_ name: String?, _ x: Double?, in table: Table) -> DataFile {
    var file = fakeFile("\(name ?? "none")-\(x ?? -1)", in: table)
    file.partition = [name.map { .string($0) }, x.map { .double($0) }]
    return file
  }

  private func paths(_ table: Table) throws -> Set<String> {
    Set(try table.newScan().planFiles().tasks.map(\.dataFile.path))
  }

  private static let partitions: [(String?, Double?)] = [
    ("a", 1), ("b", 1), (nil, 1), ("c", nil), ("d", .nan), ("e", 0),
  ]

  @Test(arguments: partitions.indices) func eachFileIsFoundInItsManifest(index: Int) throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(spec: spec)
    let files = Self.partitions.map { file($0, $1, in: table) }
    for file in files { table = try table.newAppend([file]).commit().table }
    var commit = table.newCommit()
    commit.overwrite([files[index]], with: [])
    let left = Set(files.map(\.path)).subtracting([files[index].path])
    #expect(try paths(try commit.commit().table) == left)
  }

  @Test func manifestsOfOtherPartitionsAreNotRead() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(spec: spec)
    // Where all values are null, a summary does not say that there are no others.
    let files = Self.partitions.filter { $0.0 != nil }.map { file($0, $1, in: table) }
    for file in files { table = try table.newAppend([file]).commit().table }
    // The newest manifest is first: that of the last file.
    let manifests = try TableInspection(table).manifests()
    for manifest in manifests.dropLast() {
      try FileManager.default.removeItem(atPath: try warehouse.path(manifest.path))
    }
    var commit = table.newCommit()
    commit.overwrite([files[0]], with: [])
    #expect(try commit.commit().table.metadata.snapshots.count == files.count + 1)
  }

  @Test func aFileThatIsGoneIsAConflict() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(spec: spec)
    table = try table.newAppend([file("a", 1, in: table)]).commit().table
    var commit = table.newCommit()
    commit.overwrite([file("z", 1, in: table)], with: [])
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
  }
}
