internal import FeatureStore

/// Exit statuses, after sysexits.h; shown by `fstore help` and the README.
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

extension ExitStatus {
  /// For `fstore help`.
  static let explanation =
    "0 done; 1 done in part; 64 wrong usage; 65 wrong data; 66 no such input; 68 no such name; "
    + "70 a bug; 71 system failure; 73 cannot create; 74 input/output; "
    + "75 locked or fallen behind, try again; 77 not allowed"

  init(_ code: FeatureStoreError.Code) {
    self =
      switch code {
      case .notAStore: .noInput
      case .alreadyExists: .cannotCreate
      case .notFound: .notFound
      case .invalidArgument: .usage
      case .invalidInput, .corrupt: .data
      case .locked, .conflict, .timeout, .commitStateUnknown, .stale: .temporaryFailure
      case .full, .readOnly, .poisoned: .system
      case .permissionDenied: .noPermission
      case .storage: .inputOutput
      default: .software
      }
  }
}
