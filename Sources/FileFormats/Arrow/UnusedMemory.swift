internal import CArrow

/// Memory that nobody uses, and that allocators keep for later.
public enum UnusedMemory {
  /// Gives it back to the system. Cost: a walk over what is free, and new pages for what is allocated next.
  /// Thread-safe; other threads wait for it to allocate.
  public static func release() { CArrowReleaseUnusedMemory() }
}
