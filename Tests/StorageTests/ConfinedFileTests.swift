import Foundation
import Storage
import TestSupport
import Testing

/// Files below given folders, with links that lead out of them. Each test runs with and without the
/// kernel's help.
@Suite struct ConfinedFileTests {
  /// `in` and `out`, each with a file, and links from `in` in every direction.
  private func withFarm(_ body: (String) throws -> Void) throws {
    try withTemporaryDirectory { directory in
      let manager = FileManager.default
      for folder in ["in/sub", "out", "other"] {
        try manager.createDirectory(
          atPath: directory + "/" + folder, withIntermediateDirectories: true)
      }
      for file in ["in/file", "in/sub/file", "out/file", "other/file"] {
        try Data(file.utf8).write(to: URL(filePath: directory + "/" + file))
      }
      let links = [
        "in/inside": "sub", "in/file-inside": "sub/file", "in/absolute": directory + "/in/sub",
        "in/out": "../out", "in/file-out": "../out/file", "in/absolute-out": directory + "/out",
        "in/chain": "sub/../out", "in/up": "..", "in/root": "/", "in/other": "../other",
        "in/loop": "loop", "in/dangling": "nothing", "in/process": "/proc/self/root",
      ]
      for (link, target) in links {
        try manager.createSymbolicLink(
          atPath: directory + "/" + link, withDestinationPath: target)
      }
      #expect(mkfifo(directory + "/in/pipe", 0o600) == 0)
      try body(directory)
    }
  }

  @Test(arguments: [true, false]) func linksThatStayInsideAreFollowed(asksKernel: Bool) throws {
    let files = POSIXFileSystem(asksKernel: asksKernel)
    try withFarm { directory throws in
      let roots = [directory + "/in"]
      for path in [
        "file", "sub/file", "inside/file", "file-inside", "absolute/file", "./sub//file",
      ] {
        let full = directory + "/in/" + path
        #expect(
          try files.open(full, .read, within: roots).read(count: 3, at: 0) == Array("in/".utf8))
        #expect(try files.information(full, within: roots)?.isDirectory == false)
      }
      #expect(try files.information(directory + "/in", within: roots)?.isDirectory == true)
      #expect(try files.information(directory + "/in/nothing", within: roots) == nil)
      #expect(try files.information(directory + "/in/file/x", within: roots) == nil)
      let created = try files.open(directory + "/in/inside/new", .create, within: roots)
      try created.write([1], at: 0)
      #expect(try files.information(directory + "/in/sub/new")?.sizeBytes == 1)
      #expect(try files.removeFile(directory + "/in/inside/new", within: roots))
      #expect(try !files.removeFile(directory + "/in/inside/new", within: roots))
    }
  }

  @Test(arguments: [true, false]) func linksThatLeadOutAreNot(asksKernel: Bool) throws {
    let files = POSIXFileSystem(asksKernel: asksKernel)
    try withFarm { directory throws in
      let roots = [directory + "/in"]
      let out = [
        "out/file", "file-out", "absolute-out/file", "chain/file", "up/out/file",
        "root" + directory + "/out/file", "process" + directory + "/out/file", "../out/file",
      ]
      for path in out {
        let full = directory + "/in/" + path
        let error = #expect(throws: StorageError.self, "\(path)") {
          try files.open(full, .read, within: roots)
        }
        #expect(error?.kind == .outside, "\(path)")
        #expect(throws: StorageError.self, "\(path)") {
          try files.information(full, within: roots)
        }
      }
      for path in ["out", "absolute-out", "chain", "up/out"] {
        let folder = directory + "/in/" + path
        #expect(throws: StorageError.self) {
          try files.open(folder + "/new", .create, within: roots)
        }
        #expect(throws: StorageError.self) { try files.removeFile(folder + "/file", within: roots) }
      }
      #expect(try files.contentsOfDirectory(directory + "/out") == ["file"])
      // A link is removed, not what it leads to.
      #expect(try files.removeFile(directory + "/in/file-out", within: roots))
      #expect(try files.information(directory + "/out/file")?.sizeBytes == 8)
      for path in ["loop", "dangling"] {
        #expect(throws: StorageError.self) {
          try files.open(directory + "/in/" + path, .read, within: roots)
        }
      }
    }
  }

  @Test(arguments: [true, false])
  func aLinkMayLeadToAnotherOfTheFolders(asksKernel: Bool) throws {
    let files = POSIXFileSystem(asksKernel: asksKernel)
    try withFarm { directory throws in
      let roots = [directory + "/in", directory + "/nothing", directory + "/other"]
      let file = try files.open(directory + "/in/other/file", .read, within: roots)
      #expect(try file.read(count: 5, at: 0) == Array("other".utf8))
      #expect(throws: StorageError.self) {
        try files.open(directory + "/in/out/file", .read, within: roots)
      }
      // The folder itself may be a link: whoever names it knows.
      let link = try files.open(
        directory + "/in/out/file", .read, within: [directory + "/in/out"])
      #expect(try link.read(count: 3, at: 0) == Array("out".utf8))
    }
  }

  @Test func whatIsNoRegularFileIsNotOpened() throws {
    let files = POSIXFileSystem()
    try withFarm { directory throws in
      // Without a writer an ordinary open would wait for one.
      let pipe = #expect(throws: StorageError.self) {
        try files.open(directory + "/in/pipe", .read)
      }
      #expect(pipe?.description.contains("no regular file") == true)
      #expect(throws: StorageError.self) {
        try files.open(directory + "/in/pipe", .read, within: [directory])
      }
      #expect(throws: StorageError.self) { try files.open("/dev/zero", .read) }
      #expect(throws: StorageError.self) { try files.open(directory + "/in", .read) }
    }
  }

  @Test func whatLeadsFromAFolderToAPath() {
    #expect(StoragePath.relative("/a/b/c", to: "/a") == "b/c")
    #expect(StoragePath.relative("/a//b/./c", to: "/a/") == "b/c")
    #expect(StoragePath.relative("/a/./b", to: "/a") == "b")
    #expect(StoragePath.relative("/a//b", to: "/a") == "b")
    #expect(StoragePath.relative("/a/b/", to: "/a") == "b")
    #expect(StoragePath.relative("/a/.b/c.d", to: "/a") == ".b/c.d")
    #expect(StoragePath.relative("/a/b/../c", to: "/a") == "b/../c")
    #expect(StoragePath.relative("/a", to: "/a") == ".")
    #expect(StoragePath.relative("/a/", to: "/a") == ".")
    #expect(StoragePath.relative("/a", to: "/") == "a")
    #expect(StoragePath.relative("/ab", to: "/a") == nil)
    #expect(StoragePath.relative("/", to: "/a") == nil)
  }
}
