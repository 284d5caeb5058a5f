internal import Glibc

/// What the system counts for this process.
public enum ProcessUsage {
  /// Pages that had to be mapped in, and those of them that had to be read from the disk first.
  public static var pageFaults: (all: Int64, fromDisk: Int64) {
    var usage = rusage()
    // RUSAGE_SELF, which C has as an enumeration of another type.
    guard unsafe getrusage(0, &usage) == 0 else { return (0, 0) }
    return (Int64(usage.ru_minflt) + Int64(usage.ru_majflt), Int64(usage.ru_majflt))
  }
}
