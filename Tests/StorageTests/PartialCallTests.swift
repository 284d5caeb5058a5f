import Foundation
import Glibc
import Storage
import TestSupport
import Testing

/// What the kernel may do to a call besides failing it: do only a part.
@Suite struct PartialCallTests {
  /// A write that stops at the largest size that a file may have returns how far it came; the rest is tried
  /// again, and says why it cannot be. (A process of its own, because the limit is the process's.)
  @Test func aWriteThatStopsHalfwayIsNotTakenForAWhole() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "fstore-\(UUID())").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    await #expect(processExitsWith: .success) { [directory = directory as String] in
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 10_000, rlim_max: 10_000)
      #expect(setrlimit(__rlimit_resource_t(1), &limit) == 0)
      let file = try POSIXFileSystem().open(directory + "/a", .create)
      let bytes = [UInt8](repeating: 7, count: 20_000)
      let error = #expect(throws: StorageError.self) { try file.write(bytes, at: 0) }
      #expect(error?.kind == .full)
      #expect(try file.size() == 10_000)
    }
  }
}
