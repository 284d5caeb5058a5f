import Foundation
import JSON

/// Results that the reference implementation computed, in Tests/Golden.
func goldenCases(_ name: String) throws -> [JSONValue] {
  let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Golden/maintenance").appendingPathComponent(name)
  let text = try String(contentsOf: url, encoding: .utf8)
  return try JSONValue(parsing: text)["cases"]?.arrayValue ?? []
}

extension JSONValue {
  /// The members as texts, as options and properties are.
  var texts: [String: String] {
    var texts: [String: String] = [:]
    for (key, value) in objectValue?.members ?? JSONObject().members {
      texts[key] =
        value.stringValue ?? value.int64Value.map { "\($0)" } ?? value.doubleValue?.description
    }
    return texts
  }

  var integers: [Int64] { arrayValue?.compactMap(\.int64Value) ?? [] }
}
