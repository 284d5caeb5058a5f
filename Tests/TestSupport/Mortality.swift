import Foundation
import Glibc
import Storage
import Synchronization

/// What a process that will die was promised, in a file that outlives it.
///
/// A line is in the file when `note` returns (in the page cache, which neither a kill nor a power cut of
/// another file system empties). Thread-safe.
public final class Notes: Sendable {
  private let path: String
  private let file: Int32
  private let isOpen = Lock(true)

  public init(_ path: String) {
    self.path = path
    file = open(path, O_RDWR | O_APPEND | O_CREAT, 0o600)
    precondition(file >= 0, "\(path): \(errno)")
    Self.removeCutLine(file)
  }

  /// A kill may cut a line at the end of a page: what comes next is not to go on in it.
  private static func removeCutLine(_ file: Int32) {
    let size = Int(lseek(file, 0, SEEK_END))
    var end = size
    var byte: UInt8 = 0
    while end > 0, pread(file, &byte, 1, end - 1) == 1, byte != UInt8(ascii: "\n") { end -= 1 }
    if end < size { precondition(ftruncate(file, end) == 0, "\(errno)") }
  }

  /// Adds a line. Never returns once `stop` was called: what a process learns after the power went does
  /// not count.
  public func note(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    isOpen.withLock { isOpen in
      while !isOpen { usleep(1_000_000) }
      _ = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    }
  }

  /// Nothing is noted from now on; for ever, because the lock is kept.
  func stop(_ then: () -> Void) {
    isOpen.withLock { isOpen in
      isOpen = false
      then()
    }
  }

  /// Why the process ends before its time, for the test to say: nobody sees what such a process prints.
  func noteFinding(_ error: any Error) {
    try? Data("\(error)".utf8).write(to: URL(fileURLWithPath: path + Self.findingSuffix))
  }

  public static let findingSuffix = ".finding"

  /// What made a process with notes at `path` end before its time; nil when nothing did.
  public static func finding(_ path: String) -> String? {
    try? String(contentsOfFile: path + findingSuffix, encoding: .utf8)
  }

  /// The whole lines of a file, split at spaces; none when there is no file.
  public static func read(_ path: String) -> [[String]] {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    // A kill may cut the last line.
    return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      .map { $0.split(separator: " ").map(String.init) }
  }
}

/// How and when a process dies.
public struct Death: Sendable {
  public var delayMicroseconds: UInt32
  /// The mount point of the disk whose power goes first; nil for a kill alone.
  public var disk: String?

  public init(delayMicroseconds: UInt32, disk: String?) {
    self.delayMicroseconds = delayMicroseconds
    self.disk = disk
  }

  /// What fails from here on fails because the power goes.
  private static let powerGoes = Atomic(false)

  /// What fails without the power gone is a finding, and ends the process at once; what fails because it
  /// is gone is none, and waits for the end.
  public static func guarded(_ notes: Notes, _ body: () throws -> Void) {
    do { try body() } catch {
      while Death.powerGoes.load(ordering: .acquiring) { sleep(60) }
      notes.noteFinding(error)
      abort()
    }
  }

  /// From now on the process lives this long.
  public func arm(_ notes: Notes) {
    // A page of a mapped file whose disk is gone.
    signal(SIGBUS) { _ in
      while Death.powerGoes.load(ordering: .acquiring) { sleep(60) }
      signal(SIGBUS, SIG_DFL)
    }
    Thread.detachNewThread { [self] in
      usleep(delayMicroseconds)
      guard let disk else {
        kill(getpid(), SIGKILL)
        return
      }
      notes.stop {
        Death.powerGoes.store(true, ordering: .releasing)
        CutDisk.cut(disk)
        kill(getpid(), SIGKILL)
        pause()
      }
    }
  }
}

/// A disk whose power can be cut: a file with a file system, mounted. What was not synced is lost then,
/// as FS_IOC_SHUTDOWN without a flush of the journal does it.
public final class CutDisk {
  public enum Kind: String, CaseIterable, Sendable { case ext4, xfs }

  public let path: String
  private let image: String

  /// nil where this process may not mount one, or the program that makes the file system is missing.
  public init?(_ kind: Kind) throws {
    let base = FileManager.default.temporaryDirectory.appending(path: "fstore-cut-\(UUID())").path
    path = base + "/mounted"
    image = base + "/image"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    // Without blocks of their own: they come as they are written.
    let isMounted =
      Self.run("truncate", "-s", "400M", image) && Self.run("mkfs.\(kind)", "-q", image)
      && Self.run("mount", "-o", "loop", image, path)
    if !isMounted {
      try FileManager.default.removeItem(atPath: base)
      return nil
    }
  }

  deinit {
    _ = Self.run("umount", path)
    try? FileManager.default.removeItem(atPath: StoragePath.directory(of: path))
  }

  /// Cuts the power: nothing that is not on disk by now will ever be.
  static func cut(_ path: String) {
    let directory = open(path, O_RDONLY)
    // FS_IOC_SHUTDOWN is _IOR('X', 125, uint32_t); 2 is "no flush of the log".
    var how: UInt32 = 2
    let status = ioctl(directory, UInt(0x8004_587D), &how)
    precondition(status == 0, "FS_IOC_SHUTDOWN: \(errno)")
  }

  /// Brings the disk back, as a machine does that starts again.
  public func restart() throws {
    guard Self.run("umount", path), Self.run("mount", "-o", "loop", image, path) else {
      throw CocoaError(.fileReadUnknown)
    }
  }

  /// Makes everything on it durable: where a round begins is not what it is about.
  public func settle() { _ = Self.run("sync", "-f", path) }

  /// Which kinds may be mounted here; says loudly what cannot be tested.
  public static let allowedKinds: [Kind] = Kind.allCases.filter { kind in
    if (try? CutDisk(kind)) ?? nil != nil { return true }
    FileHandle.standardError.write(
      Data(
        """
        SKIPPED: power cuts on \(kind), for a loop mount is not allowed here (or mkfs.\(kind) is missing)\n
        """.utf8))
    return false
  }

  private static func run(_ arguments: String...) -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    var environment = ProcessInfo.processInfo.environment
    environment["PATH", default: "/usr/bin:/bin"] += ":/usr/sbin:/sbin"
    process.environment = environment
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    do { try process.run() } catch { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
