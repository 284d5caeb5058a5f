/// How far a job has got, for a progress bar.
public struct MaintenanceProgress: Hashable, Sendable {
  public var filesDone: Int
  public var filesTotal: Int
  public var bytesDone: Int64
  public var bytesTotal: Int64

  public init(filesDone: Int, filesTotal: Int, bytesDone: Int64, bytesTotal: Int64) {
    self.filesDone = filesDone
    self.filesTotal = filesTotal
    self.bytesDone = bytesDone
    self.bytesTotal = bytesTotal
  }

  /// Called from the thread that does the work, which waits for it.
  public typealias Report = @Sendable (MaintenanceProgress) -> Void
}
