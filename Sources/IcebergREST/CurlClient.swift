import CHTTP

/// HTTP over libcurl: `http` and `https`, with the system's certificates and proxies.
public struct CurlClient: HTTPClient {
  public var connectTimeoutMilliseconds = 10_000
  public var timeoutMilliseconds = 60_000
  /// A longer answer is an error, decompressed: table metadata is at most 64 MiB.
  public var maximumResponseBytes = 80 << 20

  public init() {}

  public func send(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse {
    for header in request.headers {
      // A line end would begin another header.
      guard !(header.name + header.value).utf8.contains(where: { $0 < 0x20 }) else {
        throw HTTPError("a header has a control character", mayHaveArrived: false)
      }
    }
    guard !request.url.utf8.contains(where: { $0 <= 0x20 }) else {
      throw HTTPError("'\(request.url)' is no URL", mayHaveArrived: false)
    }
    let lines = request.headers.map { Array("\($0.name): \($0.value)".utf8CString) }
    var response = unsafe chttp_response()
    let outcome = unsafe perform(request, lines, &response)
    defer { unsafe chttp_response_free(&response) }
    guard outcome == chttp_answered else {
      let message = unsafe withUnsafeBytes(of: response.error) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      throw HTTPError(message, mayHaveArrived: outcome == chttp_unknown)
    }
    let body = unsafe Array(
      UnsafeRawBufferPointer(start: response.body, count: response.body_length))
    return unsafe HTTPResponse(status: Int(response.status), body: body)
  }

  private func perform(
    _ request: HTTPRequest, _ lines: [[CChar]], _ response: inout chttp_response
  ) -> chttp_outcome {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for line in lines {
      offsets.append(bytes.count)
      bytes += line
    }
    let body = request.body ?? []
    return unsafe bytes.withUnsafeBufferPointer { text in
      let pointers = unsafe offsets.map { offset in
        unsafe text.baseAddress.map { unsafe $0 + offset }
      }
      return unsafe pointers.withUnsafeBufferPointer { headers in
        unsafe body.withUnsafeBytes { content in
          unsafe request.method.rawValue.withCString { method in
            unsafe request.url.withCString { url in
              // An empty body is a body, too.
              let empty = unsafe UnsafeRawPointer(method)
              var call = unsafe chttp_request(
                method: method, url: url, headers: headers.baseAddress,
                header_count: Int32(headers.count),
                body: request.body == nil ? nil : content.baseAddress ?? empty,
                body_length: content.count, connect_timeout_ms: connectTimeoutMilliseconds,
                timeout_ms: timeoutMilliseconds, maximum_response_bytes: maximumResponseBytes)
              return unsafe chttp_perform(&call, &response)
            }
          }
        }
      }
    }
  }
}
