import Foundation
import IcebergREST
import Synchronization
import Testing

/// A server of one machine's own that answers every connection with the same bytes.
private final class RawServer: Sendable {
  private let listener: Int32
  let port: UInt16
  private let count = Mutex(0)

  /// - Parameter answer: writes to a connection, until that fails or it is done; then it is closed.
  init(_ answer: @escaping @Sendable (Int32) -> Void) throws {
    let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    var number: UInt16 = 0
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(socket, generic, length) == 0 && listen(socket, 8) == 0
          && getsockname(socket, generic, &length) == 0
      }
    }
    try #require(isBound)
    number = UInt16(bigEndian: address.sin_port)
    listener = socket
    port = number
    let thread = Thread { [weak self] in
      while true {
        let connection = accept(socket, nil, nil)
        guard connection >= 0 else { return }
        self?.count.withLock { $0 += 1 }
        var request = [UInt8](repeating: 0, count: 65536)
        _ = recv(connection, &request, request.count, 0)
        answer(connection)
        close(connection)
      }
    }
    thread.start()
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  var url: String { "http://127.0.0.1:\(port)/" }
  var connectionCount: Int { count.withLock { $0 } }

  @discardableResult
  static func write(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let sent = bytes[done...].withUnsafeBytes {
        send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard sent > 0 else { return false }
      done += sent
    }
    return true
  }
}

/// Answers that no decent server gives.
@Suite struct HostileServerTests {
  private func client() -> CurlClient {
    var client = CurlClient()
    client.maximumResponseBytes = 1 << 20
    client.timeoutMilliseconds = 5000
    return client
  }

  private func failing(_ answer: @escaping @Sendable (Int32) -> Void) throws -> HTTPError? {
    let server = try RawServer(answer)
    let error = #expect(throws: HTTPError.self) {
      try client().send(HTTPRequest(.get, server.url))
    }
    // It may have done what was asked.
    #expect(error?.mayHaveArrived == true)
    return error
  }

  private static let head = Array("HTTP/1.1 200 OK\r\n".utf8)

  @Test func anEndlessBodyIsCutOff() throws {
    _ = try failing { connection in
      RawServer.write(connection, Self.head + Array("\r\n".utf8))
      while RawServer.write(connection, [UInt8](repeating: 32, count: 65536)) {}
    }
  }

  @Test func endlessHeadersAreCutOff() throws {
    _ = try failing { connection in
      RawServer.write(connection, Self.head)
      while RawServer.write(connection, Array("X: \(String(repeating: "a", count: 9999))\r\n".utf8))
      {}
    }
  }

  @Test func aBodyThatExpandsIsCutOff() throws {
    // Deflate with fixed codes: a zero byte, and then 258 more of it in each 13 bits.
    let run: [UInt8] = [0b1010_0011, 0]
    var bits: [UInt8] = [1, 1, 0] + [0, 0, 1, 1, 0, 0, 0, 0]
    for _ in 0..<20_000 {
      bits += (0..<8).map { run[0] >> $0 & 1 } + [0, 0, 0, 0, 0]
    }
    var bytes: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
    for start in stride(from: 0, to: bits.count - 7, by: 8) {
      bytes.append((0..<8).reduce(0) { $0 | bits[start + $1] << UInt8($1) })
    }
    let body = bytes
    _ = try failing { connection in
      RawServer.write(
        connection,
        Self.head
          + Array("Content-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
    }
  }

  @Test func aServerThatSaysNothingIsGivenUp() throws {
    let server = try RawServer { _ in Thread.sleep(forTimeInterval: 4) }
    var client = client()
    client.timeoutMilliseconds = 300
    let error = #expect(throws: HTTPError.self) { try client.send(HTTPRequest(.get, server.url)) }
    #expect(error?.mayHaveArrived == true)
  }

  @Test func redirectionsAreNotFollowed() throws {
    let other = try RawServer { RawServer.write($0, Self.head + Array("\r\n".utf8)) }
    let target = other.url
    let server = try RawServer { connection in
      RawServer.write(
        connection, Array("HTTP/1.1 307 X\r\nLocation: \(target)\r\nContent-Length: 0\r\n\r\n".utf8)
      )
    }
    let response = try client().send(HTTPRequest(.get, server.url))
    #expect(response.status == 307 && other.connectionCount == 0)
  }

  @Test func whatIsNoHTTPIsAnError() throws {
    for text in ["", "hello\r\n\r\n", "HTTP/1.1 \r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n"] {
      let server = try RawServer { RawServer.write($0, Array(text.utf8)) }
      do {
        // Some of it curl takes for an answer without a status.
        let response = try client().send(HTTPRequest(.get, server.url))
        #expect(response.status != 200, "\(text)")
      } catch { #expect(error.mayHaveArrived) }
    }
  }
}
