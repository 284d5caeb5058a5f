internal import Glibc

/// What the machine has to compute with.
public enum Processors {
  /// How many processors this process may run on; at least 1.
  public static let count = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
}
