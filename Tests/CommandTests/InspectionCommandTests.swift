import Foundation
import JSON
import Testing

/// What the commands say of a group's offline table.
@Suite struct InspectionCommandTests {
  private func store() throws -> CommandFixture {
    let fixture = try CommandFixture()
    try fixture.run("init", fixture.store)
    try fixture.run(
      "group", "create", "g", "--key", "k:long", "--event-time", "t", "--feature", "x:double")
    for index in 0..<3 {
      let file = try fixture.write(
        "\(index).csv", "k,t,x\n\(index),2024-01-0\(index + 1)T00:00:00Z,1.5\n")
      let result = try fixture.run("ingest", "g", file)
      #expect(result.status == 0, "\(result.errors)")
    }
    return fixture
  }

  @Test func eachListIsATableAndJSON() throws {
    let fixture = try store()
    for name in [
      "snapshots", "files", "manifests", "history", "refs", "partitions", "metadata-log",
    ] {
      let text = try fixture.run(name, "g")
      #expect(text.status == 0 && text.output.contains("\t"), "\(name): \(text.errors)")
      let json = try fixture.run(name, "g", "--json").json()
      let lines = text.output.split(separator: "\n").count - 1
      #expect(json.arrayValue?.count == lines && lines > 0, "\(name)")
    }
    let history = try fixture.run("history", "g", "--json").json()
    let snapshots = try fixture.run("snapshots", "g", "--json").json()
    #expect(history.arrayValue?.count == snapshots.arrayValue?.count)
    let partition = try fixture.run("partitions", "g", "--json").json().arrayValue?.first
    #expect(partition?["records"]?.int64Value == 3)
    let references = try fixture.run("refs", "g", "--json").json()
    #expect(references.arrayValue?.first?["name"] == "main")
  }

  @Test func aGroupThatIsNotThereIsNamed() throws {
    let fixture = try store()
    let result = try fixture.run("manifests", "nothing")
    #expect(result.status != 0 && result.errors.contains("nothing"))
  }
}
