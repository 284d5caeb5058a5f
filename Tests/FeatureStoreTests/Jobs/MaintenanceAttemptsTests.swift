import FeatureStore
import Testing

@Suite struct MaintenanceAttemptsTests {
  private func failing(
    _ code: FeatureStoreError.Code, times: Int, _ attempts: MaintenanceAttempts
  ) throws -> Int {
    var count = 0
    return try attempts.run { () throws(FeatureStoreError) in
      count += 1
      if count <= times { throw FeatureStoreError(code, "no") }
      return count
    }
  }

  @Test func whatMayPassIsTriedAgainSoOften() throws {
    let attempts = MaintenanceAttempts(retryCount: 2, pauseMilliseconds: 1)
    #expect(try failing(.storage, times: 2, attempts) == 3)
    #expect(throws: FeatureStoreError.self) { try failing(.storage, times: 3, attempts) }
    #expect(throws: FeatureStoreError.self) { try failing(.invalidArgument, times: 1, attempts) }
    #expect(throws: FeatureStoreError.self) { try failing(.locked, times: 1, attempts) }
  }

  @Test func whatIsStoppedIsNotTriedAgain() {
    let attempts = MaintenanceAttempts(retryCount: 9, pauseMilliseconds: 1, isStopped: { true })
    #expect(attempts.isOver)
    #expect(throws: FeatureStoreError.self) { try failing(.storage, times: 1, attempts) }
    #expect(MaintenanceAttempts(timeoutSeconds: 0).isOver)
    #expect(!MaintenanceAttempts(timeoutSeconds: 3600).isOver)
  }
}
