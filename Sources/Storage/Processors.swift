internal import CSystem

/// What the machine has to compute with.
public enum Processors {
  /// How many processors this process may run on; at least 1. Those that a container or `taskset`
  /// keeps from it do not count: more threads than processors only take memory.
  public static let count = Int(csystem_processor_count())
}
