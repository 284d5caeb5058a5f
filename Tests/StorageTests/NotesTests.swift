import Foundation
import TestSupport
import Testing

/// What tests of kills believe was acknowledged.
@Suite struct NotesTests {
  @Test func aLineThatAKillCutIsNoNoteAndSpoilsNoOther() throws {
    try withTemporaryDirectory { folder in
      let path = folder + "/notes"
      try "p first 1\np se".write(toFile: path, atomically: true, encoding: .utf8)
      #expect(Notes.read(path) == [["p", "first", "1"]])
      Notes(path).note("p third 3")
      #expect(Notes.read(path) == [["p", "first", "1"], ["p", "third", "3"]])
      try "p cu".write(toFile: path, atomically: true, encoding: .utf8)
      Notes(path).note("d first 2")
      #expect(Notes.read(path) == [["d", "first", "2"]])
    }
  }
}
