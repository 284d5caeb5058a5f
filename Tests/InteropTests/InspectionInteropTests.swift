import Iceberg
import JSON
import Testing

/// Our inspection says of a table what PyIceberg's says.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct InspectionInteropTests {
  @Test func bothDescribeATableAlike() throws {
    let fixture = try InteropFixture()
    let columns = Array(AllTypes.primitives.prefix(4))
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "part", transform: .bucket(2))
    ])
    var table = try fixture.create(
      "db.t", AllTypes.schema(columns), spec: spec,
      properties: ["write.delete.mode": "merge-on-read"])
    for append in Int64(0)..<3 {
      table = try table.appending(
        AllTypes.random(10, firstID: append * 10, seed: UInt64(append + 5), columns))
    }
    table = try table.deleteRows(where: .comparison("id", .equal, .long(4))).table
    var commit = table.newCommit()
    commit.createTag("t", snapshotID: table.metadata.snapshots[1].snapshotID)
    table = try commit.commit().table
    let theirs = try fixture.call("inspect", "db.t")
    let inspection = TableInspection(table)
    func texts(_ values: [String], _ key: String) {
      let expected = theirs[key]?.arrayValue?.compactMap(\.stringValue) ?? ["missing"]
      #expect(values.sorted() == expected.sorted(), "\(key)")
    }
    texts(
      inspection.history.map {
        "\($0.madeCurrentMilliseconds) \($0.snapshotID) \($0.parentSnapshotID ?? 0)"
          + " \($0.isCurrentAncestor)"
      }, "history")
    texts(
      inspection.references.map {
        "\($0.name) \($0.reference.kind.rawValue) \($0.reference.snapshotID)"
      }, "refs")
    texts(
      inspection.metadataLog.map { "\($0.file) \($0.snapshot?.snapshotID ?? 0)" }, "metadata_log")
    texts(try inspection.manifests().map { "\($0.path) \($0.content.rawValue)" }, "manifests")
    texts(
      try inspection.files().map { "\($0.content.rawValue) \($0.path) \($0.recordCount)" }, "files")
    texts(
      try inspection.entries().map {
        "\($0.status.rawValue) \($0.sequenceNumber ?? -1) \($0.dataFile.path)"
      }, "entries")
    texts(
      try inspection.partitions().map {
        "\($0.specID) \($0.recordCount) \($0.dataFileCount) \($0.positionDeleteRecordCount)"
          + " \($0.lastUpdatedSnapshotID ?? 0)"
      }, "partitions")
  }
}
