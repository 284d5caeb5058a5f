import Foundation
import Storage
import TestSupport
import Testing

@Suite struct SHA256Tests {
  /// FIPS 180-4's examples, and a million letters.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      String(repeating: "a", count: 1_000_000),
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
  ])
  func theHashesOfTheStandard(text: String, expected: String) {
    var hash = SHA256()
    hash.update(Array(text.utf8).rawSpan)
    #expect(hash.hexadecimal == expected)
  }

  @Test func piecesOfAnySizeGiveTheSame() {
    var random = SeededGenerator(seed: 3)
    let bytes = (0..<1000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    var whole = SHA256()
    whole.update(bytes.rawSpan)
    for _ in 0..<50 {
      var hash = SHA256()
      var rest = bytes[...]
      while !rest.isEmpty {
        let piece = Array(rest.prefix(Int.random(in: 0...150, using: &random)))
        hash.update(piece.rawSpan)
        rest = rest.dropFirst(piece.count)
        _ = hash.hexadecimal
      }
      #expect(hash.hexadecimal == whole.hexadecimal)
    }
  }
}
