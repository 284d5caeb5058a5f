import Iceberg
import JSON
import Storage
import Synchronization

/// Requests to a catalog's server: credentials, repetition of what may be repeated, and what an answer
/// means. Thread-safe.
final class RESTSession: Sendable {
  private struct Token {
    var text: String
    /// Microseconds since 1970; nil for ever.
    var expires: Int64?
  }

  let options: RESTCatalog.Options
  private let client: any HTTPClient
  private let clock: any WallClock
  private let token: Mutex<Token?>

  init(_ options: RESTCatalog.Options, _ client: any HTTPClient, _ clock: any WallClock) {
    self.options = options
    self.client = client
    self.clock = clock
    token = Mutex(options.token.map { Token(text: $0, expires: nil) })
  }

  /// Sends a request that may be sent again, as often as it takes: it changes nothing.
  func read(
    _ method: HTTPRequest.Method, _ path: String, token: String? = nil
  ) throws(IcebergError) -> HTTPResponse {
    var attempt = 1
    while true {
      var failure: IcebergError
      do throws(HTTPError) {
        let response = try authorized(HTTPRequest(method, options.uri + path), token)
        guard [429, 500, 502, 503, 504].contains(response.status) else { return response }
        failure = RESTSession.error(response, path)
      } catch {
        failure = IcebergError(.inputOutput, "\(shown(path)): \(error.message)")
      }
      guard attempt <= options.readRetryCount else { throw failure }
      options.pause(Int64(100) << Int64(min(attempt, 10)))
      attempt += 1
    }
  }

  /// Sends a request that changes something, once; again only when the server has refused it for being
  /// too busy (429), and so has done nothing. An answer that does not say what became of it, and none at
  /// all, are `commitStateUnknown`.
  func write(
    _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue?, token: String? = nil
  ) throws(IcebergError) -> HTTPResponse {
    var response: HTTPResponse
    var attempt = 1
    repeat {
      if attempt > 1 { options.pause(Int64(100) << Int64(min(attempt, 10))) }
      do throws(HTTPError) {
        response = try authorized(
          HTTPRequest(
            method, options.uri + path,
            headers: body == nil ? [] : [("Content-Type", "application/json")], body: body?.utf8()),
          token)
      } catch {
        throw IcebergError(
          error.mayHaveArrived ? .commitStateUnknown : .inputOutput,
          "\(shown(path)): \(error.message)")
      }
      attempt += 1
    } while response.status == 429 && attempt <= options.readRetryCount + 1
    if response.status >= 500 {
      // Whatever the server says, it may have done it: 503 too can come from in between.
      var error = RESTSession.error(response, path)
      error.kind = .commitStateUnknown
      throw error
    }
    return response
  }

  /// Sends a request with the current token; when the server no longer takes it, again with a new
  /// one: an unauthorised request has done nothing.
  ///
  /// - Parameter special: a token for this request, in the place of the catalog's own as long as the
  ///   server takes it.
  private func authorized(
    _ request: HTTPRequest, _ special: String?
  ) throws(HTTPError) -> HTTPResponse {
    var headers = request.headers + options.headers.map { ($0.key, $0.value) }
    headers.append(("Accept", "application/json"))
    var request = request
    var used: String?
    var special = special
    for attempt in 0..<3 {
      var current = special
      if current == nil { current = try currentToken(replacing: used) }
      request.headers = headers
      if let current { request.headers.append(("Authorization", "Bearer " + current)) }
      let hasSecret =
        current != nil || Secrets.withoutPassword(request.url) != request.url
        || options.headers.contains { Secrets.isSecret(header: $0.key) }
      if hasSecret { try Secrets.requirePrivacy(request.url, options) }
      var response = try client.send(request)
      let isRefused = response.status == 401 || response.status == 419
      if isRefused, special != nil {
        special = nil
        continue
      }
      if isRefused, attempt < 2, used == nil, options.credential != nil {
        used = current
        continue
      }
      if !(200..<300).contains(response.status) {
        // Errors are shown and logged; what a server echoes of our request is not to be.
        let text = String(decoding: response.body, as: UTF8.self)
        response.body = Array(secrets(and: current).removed(from: text).utf8)
      }
      return response
    }
    throw HTTPError("no answer", mayHaveArrived: false)
  }

  /// Where a request went, for messages: without a password that stands in the address.
  private func shown(_ path: String) -> String { Secrets.withoutPassword(options.uri) + path }

  private func secrets(and token: String?) -> Secrets {
    Secrets(options, tokens: [token, self.token.withLock { $0?.text }].compactMap { $0 })
  }

  /// The token to use; fetched where there are credentials and the known one is about to expire, or
  /// was refused.
  private func currentToken(replacing refused: String?) throws(HTTPError) -> String? {
    guard let credential = options.credential else { return token.withLock { $0?.text } }
    let now = clock.nowMicroseconds()
    let known = token.withLock { token -> String? in
      guard let token, token.text != refused, token.expires.map({ now < $0 }) ?? true else {
        return nil
      }
      return token.text
    }
    if let known { return known }
    let fetched = try fetchToken(credential, now)
    token.withLock { $0 = fetched }
    return fetched.text
  }

  private func fetchToken(_ credential: String, _ now: Int64) throws(HTTPError) -> Token {
    let parts = credential.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    var form = [("grant_type", "client_credentials"), ("scope", options.scope)]
    // A credential without a colon is a secret alone.
    if parts.count == 2 { form.append(("client_id", String(parts[0]))) }
    form.append(("client_secret", String(parts[parts.count - 1])))
    let body = form.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }.joined(separator: "&")
    let url = options.oauth2ServerURI ?? options.uri + "/v1/oauth/tokens"
    try Secrets.requirePrivacy(url, options)
    let shown = Secrets.withoutPassword(url)
    let response: HTTPResponse
    do throws(HTTPError) {
      response = try client.send(
        HTTPRequest(
          .post, url, headers: [("Content-Type", "application/x-www-form-urlencoded")],
          body: Array(body.utf8)))
    } catch {
      // Nothing but a token can have been made.
      throw HTTPError("no token from \(shown): \(error.message)", mayHaveArrived: false)
    }
    let json: JSONValue?
    do { json = try JSONValue(parsing: response.body) } catch { json = nil }
    guard response.status == 200, let text = json?["access_token"]?.stringValue else {
      let detail =
        json?["error_description"]?.stringValue ?? json?["error"]?.stringValue
        ?? json?["error"]?["message"]?.stringValue ?? "status \(response.status)"
      throw HTTPError(
        "no token from \(shown): \(secrets(and: nil).removed(from: detail))", mayHaveArrived: false)
    }
    // A little early, so that a request in flight does not meet its end.
    let seconds = json?["expires_in"]?.int64Value
    let expires = seconds.map { now &+ max(0, min($0, 1 << 32) - 30) &* 1_000_000 }
    return Token(text: text, expires: expires)
  }
}

// What answers mean.
extension RESTSession {
  /// The answer's JSON, when the request succeeded.
  static func json(_ response: HTTPResponse, _ path: String) throws(IcebergError) -> JSONValue {
    guard (200..<300).contains(response.status) else { throw error(response, path) }
    do { return try JSONValue(parsing: response.body) } catch {
      throw IcebergError(.invalidMetadata, "\(path): the server's answer is no JSON: \(error)")
    }
  }

  /// What a status other than success means; for requests that change something `write` has dealt
  /// with those that leave it open.
  static func error(_ response: HTTPResponse, _ path: String) -> IcebergError {
    var message = "status \(response.status)"
    do {
      let json = try JSONValue(parsing: response.body)
      if let text = json["error"]?["message"]?.stringValue {
        message = text
        if let type = json["error"]?["type"]?.stringValue { message += " (\(type))" }
      }
    } catch { message = "status \(response.status)" }
    let kind: IcebergError.Kind =
      switch response.status {
      case 404: .notFound
      case 409: .commitConflict
      case 400, 422: .invalidArgument
      case 406: .unsupported
      default: .inputOutput
      }
    return IcebergError(
      kind, "the catalog's server: \(message)",
      context: [.init("path", path), .init("status", "\(response.status)")])
  }
}

enum PercentEncoding {
  /// Every byte but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
  static func encode(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        result += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
      }
    }
    return result
  }
}
