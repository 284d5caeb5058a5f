/// Exit statuses, after sysexits.h; documented in docs/command.md and `fstore help`.
enum ExitStatus: Int32 {
  case success = 0
  /// Something was done and something was not: some rows were refused.
  case partial = 1
  /// The command line is wrong.
  case usage = 64
  /// The input is wrong, or stored data is damaged.
  case data = 65
  /// An input file or a store is not there.
  case noInput = 66
  /// A group, view, feature or snapshot of that name does not exist.
  case notFound = 68
  /// A bug in fstore.
  case software = 70
  /// The system failed: out of disk space, read-only.
  case system = 71
  /// An output file exists or cannot be created.
  case cannotCreate = 73
  /// Reading or writing failed.
  case inputOutput = 74
  /// Somebody else holds the lock: try again later.
  case temporaryFailure = 75
  /// Not allowed.
  case noPermission = 77
}
