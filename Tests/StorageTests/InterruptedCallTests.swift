import Foundation
import Glibc
import Storage
import Synchronization
import TestSupport
import Testing

/// What the kernel may do to a call besides failing it: interrupt it, or do only a part.
@Suite struct InterruptedCallTests {
  /// Opening a pipe waits for its other end; signals interrupt that, and the call is made again.
  @Test func aCallThatASignalInterruptsIsMadeAgain() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/pipe"
      #expect(mkfifo(path, 0o600) == 0)
      // Without SA_RESTART, so that the call ends with EINTR.
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { _ in interruptions.add(1, ordering: .relaxed) }
      #expect(sigaction(SIGUSR2, &action, nil) == 0)
      let outcome = Lock<String?>(nil)
      let thread = Lock<pthread_t?>(nil)
      let reader = try BackgroundThread(name: "open") {
        // Threads of the test runner block signals, and theirs inherit that.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGUSR2)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        thread.withLock { $0 = pthread_self() }
        do {
          try POSIXFileSystem().open(path, .read).close()
          outcome.withLock { $0 = "opened" }
        } catch { outcome.withLock { $0 = "\(error)" } }
      }
      while interruptions.load(ordering: .relaxed) < 3, outcome.withLock({ $0 }) == nil {
        if let thread = thread.withLock({ $0 }) { pthread_kill(thread, SIGUSR2) }
        usleep(2000)
      }
      #expect(outcome.withLock { $0 } == nil)
      let writer = try POSIXFileSystem().open(path, .readWrite)
      reader.join()
      try writer.close()
      #expect(outcome.withLock { $0 } == "opened")
    }
  }

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

private let interruptions = Atomic<Int>(0)
