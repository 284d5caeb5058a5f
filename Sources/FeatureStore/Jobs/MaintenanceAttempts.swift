internal import Storage

/// How often and for how long maintenance is tried. Thread-safe.
public struct MaintenanceAttempts: Sendable {
  private let retryCount: Int
  private let pauseMilliseconds: Int
  private let limit: ContinuousClock.Instant?
  private let isStopped: @Sendable () -> Bool

  /// The time begins to run now.
  ///
  /// - Parameters:
  ///   - retryCount: how often what failed is tried again.
  ///   - pauseMilliseconds: before the first retry; each next pause is twice as long, a minute at most.
  ///   - isStopped: asked again and again; true ends it as the time limit would.
  public init(
    retryCount: Int = 0, timeoutSeconds: Int64? = nil, pauseMilliseconds: Int = 1000,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) {
    self.retryCount = max(0, retryCount)
    self.pauseMilliseconds = max(0, pauseMilliseconds)
    limit = timeoutSeconds.map { ContinuousClock.now + .seconds($0) }
    self.isStopped = isStopped
  }

  /// Whether the time is over, or somebody stopped it: what is passed on as `isStopped`.
  public var isOver: Bool { isStopped() || limit.map { ContinuousClock.now >= $0 } ?? false }

  /// Runs `body` until it succeeds, fails for a reason that will not pass, or was tried often enough.
  public func run<Result>(
    _ body: () throws(FeatureStoreError) -> Result
  ) throws(FeatureStoreError) -> Result {
    var pause = pauseMilliseconds
    var attempt = 0
    while true {
      attempt += 1
      do {
        return try body()
      } catch {
        guard attempt <= retryCount, !isOver, Self.isWorthARetry(error) else { throw error }
      }
      _ = Monitor(()).wait(timeoutMilliseconds: pause) { _ -> Bool? in isOver ? true : nil }
      pause = min(pause * 2, 60_000)
    }
  }

  /// What a wrong option or a damaged table says, it says again.
  private static func isWorthARetry(_ error: FeatureStoreError) -> Bool {
    [.storage, .full, .conflict, .commitStateUnknown, .timeout].contains(error.code)
  }
}
