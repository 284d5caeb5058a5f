/// What must not be seen: kept off plain connections and out of messages.
struct Secrets {
  private var texts: [String] = []

  /// - Parameter tokens: those in use, beside the ones of the options.
  init(_ options: RESTCatalog.Options, tokens: [String]) {
    var found = tokens + [options.token, options.credential].compactMap { $0 }
    if let credential = options.credential {
      found += credential.split(separator: ":", maxSplits: 1).dropFirst().map { String($0) }
    }
    found += options.headers.filter { Secrets.isSecret(header: $0.key) }.map(\.value)
    // Longer ones first: one may be part of another. A text of a few letters hides nothing.
    texts = found.filter { $0.utf8.count >= 4 }.sorted { $0.utf8.count > $1.utf8.count }
  }

  func removed(from text: String) -> String {
    texts.reduce(text) { $0.replacing($1, with: "***") }
  }

  /// Whether a header of this name is likely to carry a secret.
  static func isSecret(header name: String) -> Bool {
    let name = name.lowercased()
    return ["authorization", "cookie", "token", "key", "secret", "password", "signature"]
      .contains { name.contains($0) }
  }

  /// The address without `user:password@`.
  static func withoutPassword(_ url: String) -> String {
    guard let scheme = url.range(of: "://"), let at = authority(of: url)?.lastIndex(of: "@") else {
      return url
    }
    return String(url[..<scheme.upperBound] + url[url.index(after: at)...])
  }

  /// Throws when a secret would go unencrypted to another machine.
  static func requirePrivacy(
    _ url: String, _ options: RESTCatalog.Options
  ) throws(HTTPError) {
    guard !options.sendsSecretsUnencrypted, !url.lowercased().hasPrefix("https://"),
      !isLoopback(url)
    else { return }
    throw HTTPError(
      "a token or credential is not sent unencrypted to another machine: use https",
      mayHaveArrived: false)
  }

  private static func isLoopback(_ url: String) -> Bool {
    guard let authority = authority(of: url) else { return false }
    let host = authority[
      (authority.lastIndex(of: "@").map { authority.index(after: $0) }
        ?? authority.startIndex)...]
    if host.hasPrefix("[") { return host.hasPrefix("[::1]") }
    let name = host.prefix { $0 != ":" }.lowercased()
    if name == "localhost" { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    return parts.count == 4 && parts[0] == 127 && !parts.contains(nil)
  }

  private static func authority(of url: String) -> Substring? {
    guard let scheme = url.range(of: "://") else { return nil }
    return url[scheme.upperBound...].prefix { !"/?#".contains($0) }
  }
}

extension String {
  fileprivate func range(of text: String) -> Range<String.Index>? { firstRange(of: text) }
}

extension RESTCatalog.Options: CustomStringConvertible, CustomReflectable {
  /// The server and the warehouse; never a secret.
  public var description: String {
    "\(Secrets.withoutPassword(uri)), warehouse \(warehouse ?? "none")"
  }

  public var customMirror: Mirror { Mirror(self, children: ["server": description]) }
}

extension HTTPRequest: CustomStringConvertible, CustomReflectable {
  /// The method and the address; no headers and no body, where secrets are.
  public var description: String { "\(method.rawValue) \(Secrets.withoutPassword(url))" }

  public var customMirror: Mirror { Mirror(self, children: ["request": description]) }
}
