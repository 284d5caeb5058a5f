import Foundation
import Storage
import TestSupport
import Testing

@Suite struct POSIXFileSystemTests {
  let files = POSIXFileSystem()

  @Test func bytesAreReadBackWhereTheyWereWritten() throws {
    try withTemporaryDirectory { directory in
      let file = try files.open(directory + "/a", .create)
      try file.write([1, 2, 3], at: 10)
      try file.synchronizeData()
      try file.discardCache()
      #expect(try file.size() == 13)
      #expect(try file.read(count: 100, at: 9) == [0, 1, 2, 3])
      try file.truncate(to: 11)
      #expect(try files.readFile(directory + "/a", limitBytes: 11).count == 11)
    }
  }

  @Test func failuresSayWhatWhereAndWhy() throws {
    try withTemporaryDirectory { directory in
      let error = #expect(throws: StorageError.self) { try files.open(directory + "/a", .read) }
      #expect(error?.kind == .notFound)
      #expect(error?.description == "cannot open '\(directory)/a': No such file or directory")
      #expect(throws: StorageError.self) { try files.open(directory, .read) }
    }
  }

  @Test func creatingATakenNameFails() throws {
    try withTemporaryDirectory { directory in
      try files.publish([1], at: directory + "/a", replacing: false)
      let error = #expect(throws: StorageError.self) { try files.open(directory + "/a", .create) }
      #expect(error?.kind == .exists)
    }
  }

  @Test func publishingWithoutReplacingHasOneWinner() throws {
    try withTemporaryDirectory { directory in
      try files.publish([1], at: directory + "/a", replacing: false)
      let error = #expect(throws: StorageError.self) {
        try files.publish([2], at: directory + "/a", replacing: false)
      }
      #expect(error?.kind == .exists)
      #expect(try files.readFile(directory + "/a", limitBytes: 9) == [1])
      #expect(try files.contentsOfDirectory(directory) == ["a"])
      try files.publish([3], at: directory + "/a", replacing: true)
      #expect(try files.readFile(directory + "/a", limitBytes: 9) == [3])
    }
  }

  @Test func whatIsCreatedIsPrivate() throws {
    try withTemporaryDirectory { directory in
      try files.createDirectory(directory + "/x/y", withIntermediates: true)
      try files.createDirectory(directory + "/x/y", withIntermediates: true)
      try files.publish([1], at: directory + "/x/y/a", replacing: false)
      let manager = FileManager.default
      let mode = try manager.attributesOfItem(atPath: directory + "/x/y/a")[.posixPermissions]
      #expect(mode as? Int == 0o600)
      let folder = try manager.attributesOfItem(atPath: directory + "/x/y")[.posixPermissions]
      #expect(folder as? Int == 0o700)
    }
  }

  @Test func filesAreNotWrittenThroughLinks() throws {
    try withTemporaryDirectory { directory in
      try files.publish([1], at: directory + "/a", replacing: false)
      try FileManager.default.createSymbolicLink(
        atPath: directory + "/link", withDestinationPath: directory + "/a")
      #expect(throws: StorageError.self) { try files.open(directory + "/link", .readWrite) }
      #expect(try files.canonicalPath(directory + "/link").hasSuffix("/a"))
    }
  }

  @Test func aSecondLockIsRefusedNamingTheHolder() throws {
    try withTemporaryDirectory { directory in
      let lock = try files.lock(directory + "/LOCK", holder: "test")
      let error = #expect(throws: StorageError.self) {
        try files.lock(directory + "/LOCK", holder: "other")
      }
      #expect(error?.kind == .locked)
      #expect(error?.message.contains("test, pid \(getpid()) on ") == true)
      lock.release()
      let again = try files.lock(directory + "/LOCK", holder: "other")
      again.release()
    }
  }

  @Test func removingTwiceIsNoError() throws {
    try withTemporaryDirectory { directory in
      try files.publish([1], at: directory + "/a", replacing: false)
      #expect(try files.removeFile(directory + "/a"))
      #expect(try !files.removeFile(directory + "/a"))
      #expect(try !files.removeDirectory(directory + "/none"))
      #expect(try files.information(directory + "/a") == nil)
      #expect(try files.information(directory)?.isDirectory == true)
    }
  }

  @Test func allocatedSpaceReadsAsZerosAndKeepsWhatWasThere() throws {
    try withTemporaryDirectory { directory in
      let system = POSIXFileSystem()
      let file = try system.open(directory + "/space", .create)
      try file.write([1, 2, 3], at: 0)
      try file.allocate(sizeBytes: 10_000)
      #expect(try file.size() == 10_000)
      #expect(try file.read(count: 5, at: 0) == [1, 2, 3, 0, 0])
      try file.allocate(sizeBytes: 100)
      #expect(try file.size() == 10_000, "it never shrinks")
      #expect(try system.availableBytes(directory) > 0)
      #expect(throws: StorageError.self) { try system.availableBytes(directory + "/none") }
      let error = #expect(throws: StorageError.self) { try file.allocate(sizeBytes: 1 << 60) }
      #expect(error?.kind == .full)
    }
  }
}
