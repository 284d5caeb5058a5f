import Foundation
import JSON
import Testing

@Suite struct RepairCommandTests {
  @Test func aRepairIsShownFirstAndDoneWhenAskedFor() throws {
    let fixture = try CommandFixture.withReadings()
    #expect(try fixture.run("repair").status == 0)
    for number in 0..<3 {
      try fixture.run(
        "put", "readings", "sensor=s\(number)", "at=2026-01-01T00:00:00Z", "value=\(number)")
    }
    try fixture.run("flush")
    let segment = fixture.store + "/log/00000001.log"
    var bytes = try Data(contentsOf: URL(filePath: segment))
    // In the first record.
    bytes[4096 + 32 + 20] ^= 1
    try bytes.write(to: URL(filePath: segment))
    #expect(try fixture.run("get", "readings", "sensor=s1").status == 65)

    let shown = try fixture.run("repair")
    #expect(shown.status == 65 && shown.output.contains("lost: lsn 1 "))
    #expect(shown.errors.contains("--yes"))
    #expect(try fixture.run("repair", "--dry-run").status == 0)
    #expect(try fixture.run("repair", "--dry-run", "--yes").status == 64)
    #expect(try Data(contentsOf: URL(filePath: segment)) == bytes)
    let done = try fixture.run("repair", "--yes", "--json")
    #expect(done.status == 1, "\(done.errors)")
    let report = try done.json()
    #expect(report["done"]?.boolValue == true && report["lost_lsns"]?.arrayValue?.count == 1)
    #expect(try fixture.run("verify").status == 0)
    func value(_ sensor: String) throws -> Int64? {
      try fixture.run("get", "readings", "sensor=\(sensor)", "--json").json()
        .arrayValue?.first?["value"]?.int64Value
    }
    #expect(try value("s0") == nil && value("s1") == 1 && value("s2") == 2)
    #expect(try fixture.run("materialize", "readings").status == 0)
    #expect(try value("s0") == 0)
    #expect(try fixture.run("repair").status == 0)
  }
}
