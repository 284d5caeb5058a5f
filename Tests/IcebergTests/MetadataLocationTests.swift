import Iceberg
import Storage
import Testing

@Suite struct MetadataLocationTests {
  @Test(arguments: ["/a/b", "file:/a/b", "file:///a/b", "file://localhost/a/b"])
  func allSpellingsOfALocalFileMeanTheSamePath(location: String) throws {
    #expect(try Location.path(of: location) == "/a/b")
  }

  @Test(arguments: [
    "s3://bucket/a", "hdfs://x/a", "file://host/a", "a/b", "", "/a/../b", "file:///a/..",
    "file:///a\0b", "file:a",
  ])
  func s40OtherLocationsAreRefused(location: String) {
    #expect(throws: IcebergError.self) { try Location.path(of: location) }
  }

  @Test func percentSignsAreNotDecoded() throws {
    #expect(try Location.path(of: "file:///a/%2e%2e/b") == "/a/%2e%2e/b")
  }

  @Test func spellingsAreEqualForComparison() throws {
    #expect(try Location.comparable("file:/a//b/./c/") == "/a/b/c")
    for plain in ["/a", "/a/...", "/..a/b..", "/.a/.b", "/a/b.", "/ /ä"] {
      for spelled in [plain, plain + "/", plain + "/.", "/." + plain, "//localhost" + plain] {
        #expect(try Location.comparable("file:" + spelled) == plain)
      }
    }
    for root in ["/", "//", "/.", "/./"] { #expect(try Location.comparable(root) == "/") }
    for refused in ["/..", "/a/..", "/../a", "/a/../b", "/a\0", "/a/\0/b", "a/b", ""] {
      #expect(throws: IcebergError.self) { try Location.comparable(refused) }
    }
  }

  @Test func s59OneLocationInsideAnotherOverlaps() throws {
    #expect(try Location.overlap("file:///w/t", "/w/t/"))
    #expect(try Location.overlap("/w/t", "/w/t/data"))
    #expect(try Location.overlap("/w/t/data", "file:/w//t"))
    #expect(try !Location.overlap("/w/t", "/w/t2"))
  }

  @Test func s40FilesOutsideTheAllowedRootsAreRefused() throws {
    let io = try FileIO(fileSystem: POSIXFileSystem(), allowedRoots: ["file:///w"])
    #expect(try io.path(of: "/w/t/x") == "/w/t/x")
    #expect(throws: IcebergError.self) { try io.path(of: "/etc/passwd") }
    #expect(throws: IcebergError.self) { try io.path(of: "/w2/x") }
  }
}
