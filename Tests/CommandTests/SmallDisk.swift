import Foundation

/// A file system of its own, of a given size, in memory: to be full, and to be read-only.
final class SmallDisk {
  let path: String

  /// nil where this process may not mount one.
  init?(megabytes: Int) throws {
    path =
      FileManager.default.temporaryDirectory.appending(path: "fstore-disk-\(UUID().uuidString)")
      .path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard try Self.run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path) else {
      try FileManager.default.removeItem(atPath: path)
      return nil
    }
  }

  deinit {
    _ = try? Self.run("umount", "-l", path)
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Whether this process may mount; says so loudly when it may not.
  static let isAllowed: Bool = {
    let isAllowed = (try? SmallDisk(megabytes: 1)) ?? nil
    if isAllowed == nil {
      FileHandle.standardError.write(
        Data("SKIPPED: tests of full and read-only disks, for mounting is not allowed here\n".utf8))
    }
    return isAllowed != nil
  }()

  func setReadOnly(_ isReadOnly: Bool) throws {
    guard try Self.run("mount", "-o", "remount,\(isReadOnly ? "ro" : "rw")", path) else {
      throw CocoaError(.fileWriteUnknown)
    }
  }

  /// Takes all space but so many bytes, with a file that `free` removes.
  func fill(leaving bytes: Int) throws {
    let attributes = try FileManager.default.attributesOfFileSystem(forPath: path)
    let free = (attributes[.systemFreeSize] as? NSNumber)?.intValue ?? 0
    let filler = FileManager.default.createFile(atPath: path + "/filler", contents: nil)
    guard filler, let file = FileHandle(forWritingAtPath: path + "/filler") else {
      throw CocoaError(.fileWriteUnknown)
    }
    let block = Data(count: 1 << 16)
    for _ in 0..<max(0, free - bytes) / block.count { try file.write(contentsOf: block) }
    try file.close()
  }

  /// Takes the last byte.
  func fillUp() throws {
    try fill(leaving: 1 << 20)
    try takeRest()
  }

  /// Takes what has become free since.
  func takeRest() throws {
    guard let file = FileHandle(forWritingAtPath: path + "/filler") else {
      throw CocoaError(.fileWriteUnknown)
    }
    _ = try file.seekToEnd()
    // The system says when.
    while (try? file.write(contentsOf: Data(count: 4096))) != nil {}
    try file.close()
  }

  var freeBytes: Int {
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: path)
    return (attributes?[.systemFreeSize] as? NSNumber)?.intValue ?? -1
  }

  func free() throws { try FileManager.default.removeItem(atPath: path + "/filler") }

  private static func run(_ arguments: String...) throws -> Bool {
    try CommandFixture.run(URL(filePath: "/usr/bin/env"), arguments).status == 0
  }
}
