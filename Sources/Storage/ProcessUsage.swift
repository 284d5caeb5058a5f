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

  /// Memory that this process has pages for now; nil where the system does not say. Cost: a few microseconds.
  public static var residentBytes: Int64? {
    let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 128)
    let count = unsafe text.withUnsafeMutableBytes {
      unsafe read(descriptor, $0.baseAddress, $0.count)
    }
    // Pages: of all that is mapped, then of what is there.
    let numbers = text.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
    guard numbers.count > 1,
      let pages = Int64(String(decoding: numbers[1], as: UTF8.self))
    else { return nil }
    return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
  }
}
