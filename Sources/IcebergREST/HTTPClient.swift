/// A request to a catalog's server.
public struct HTTPRequest: Sendable {
  public enum Method: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case delete = "DELETE"
  }

  public var method: Method
  public var url: String
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]?

  public init(
    _ method: Method, _ url: String, headers: [(name: String, value: String)] = [],
    body: [UInt8]? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}

public struct HTTPResponse: Sendable {
  public var status: Int
  public var body: [UInt8]

  public init(status: Int, body: [UInt8]) {
    self.status = status
    self.body = body
  }
}

/// No answer came.
public struct HTTPError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Whether the server may have got the request, and done what it asks for.
  public var mayHaveArrived: Bool
  public var message: String

  public init(_ message: String, mayHaveArrived: Bool) {
    self.message = message
    self.mayHaveArrived = mayHaveArrived
  }

  public var description: String { message }
}

/// Sends requests, each once: what is repeated, and when, the catalog decides. Thread-safe.
public protocol HTTPClient: Sendable {
  func send(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse
}
