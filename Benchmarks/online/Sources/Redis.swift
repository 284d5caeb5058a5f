import FeatureModel
import Glibc

/// Redis 7 in a process of its own, over TCP on the loopback interface, one connection a thread. Values go as
/// SET in a pipeline, which is not atomic; batches come by MGET.
final class RedisEngine: Engine, @unchecked Sendable {
  // Unchecked: `idle` is touched under the mutex only; a connection belongs to who took it.
  let name: String
  let isRemote = true
  private var server = pid_t()
  private let port: UInt16
  private var idle: [RedisConnection] = []
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  /// - Parameter appendfsync: `always` or `everysec`.
  init(_ directory: String, appendfsync: String) {
    name = "Redis \(appendfsync)"
    mkdir(directory, 0o700)
    port = freePort()
    pthread_mutex_init(mutex, nil)
    // It must not outlive the benchmark, however that ends.
    let words = [
      "setpriv", "--pdeathsig", "TERM", "redis-server", "--port", "\(port)", "--bind", "127.0.0.1",
      "--dir", directory, "--save", "",
      "--appendonly", "yes", "--appendfsync", appendfsync, "--daemonize", "no", "--loglevel",
      "warning", "--logfile", "/dev/null", "--auto-aof-rewrite-percentage", "0",
    ]
    var arguments = words.map { strdup($0) }
    arguments.append(nil)
    guard posix_spawnp(&server, "setpriv", nil, nil, &arguments, environ) == 0 else {
      fatalError("redis-server cannot be started; Benchmarks/bootstrap --online installs it")
    }
    for _ in 0..<200 {
      if let connection = RedisConnection(port: port) {
        idle.append(connection)
        return
      }
      usleep(50_000)
    }
    fatalError("redis-server does not answer")
  }

  private func withConnection<Result>(_ body: (RedisConnection) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    let taken = idle.popLast()
    pthread_mutex_unlock(mutex)
    guard let connection = taken ?? RedisConnection(port: port) else { fatalError("Redis connect") }
    defer {
      pthread_mutex_lock(mutex)
      idle.append(connection)
      pthread_mutex_unlock(mutex)
    }
    return body(connection)
  }

  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int {
    withConnection { connection in
      connection.begin("*2\r\n$3\r\nGET\r\n")
      connection.add(bulk: key)
      connection.send()
      return connection.readBulk(into: buffer)
    }
  }

  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    withConnection { connection in
      connection.begin("*\(keys.count + 1)\r\n$4\r\nMGET\r\n")
      for index in 0..<keys.count { connection.add(bulk: keys.array(index)) }
      connection.send()
      guard connection.readCount("*") == keys.count else { fatalError("MGET") }
      var total = 0
      for index in 0..<keys.count {
        total += connection.readBulk(
          into: UnsafeMutableRawBufferPointer(rebasing: buffer[(index * 256)...]))
      }
      return total
    }
  }

  func put(_ records: [(key: [UInt8], row: [UInt8])]) {
    withConnection { connection in
      connection.begin("")
      for (key, row) in records {
        connection.add("*3\r\n$3\r\nSET\r\n")
        connection.add(bulk: key)
        connection.add(bulk: row)
      }
      connection.send()
      for _ in records where connection.readLine() != Array("+OK".utf8) { fatalError("SET") }
    }
  }

  func close() {
    idle = []
    kill(server, SIGTERM)
    var status: Int32 = 0
    waitpid(server, &status, 0)
  }
}

/// A connection that speaks RESP.
private final class RedisConnection {
  private let descriptor: Int32
  private var output: [UInt8] = []
  private var input = [UInt8](repeating: 0, count: 1 << 16)
  private var next = 0
  private var end = 0

  init?(port: UInt16) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = loopback(port)
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else {
      Glibc.close(descriptor)
      return nil
    }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
  }

  deinit { Glibc.close(descriptor) }

  func begin(_ text: String) {
    output.removeAll(keepingCapacity: true)
    output += text.utf8
  }

  func add(_ text: String) { output += text.utf8 }

  func add(bulk bytes: [UInt8]) {
    output += "$\(bytes.count)\r\n".utf8
    output += bytes
    output.append(13)
    output.append(10)
  }

  func send() {
    output.withUnsafeBytes { bytes in
      var sent = 0
      while sent < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + sent, bytes.count - sent)
        guard count > 0 else { fatalError("Redis write") }
        sent += count
      }
    }
  }

  private func fill() {
    if next == end { (next, end) = (0, 0) }
    if end == input.count {
      input.removeFirst(next)
      input.append(contentsOf: repeatElement(0, count: max(next, 1 << 16)))
      (next, end) = (0, end - next)
    }
    let start = end
    let count = input.withUnsafeMutableBytes {
      read(descriptor, $0.baseAddress! + start, $0.count - start)
    }
    guard count > 0 else { fatalError("Redis read") }
    end += count
  }

  private func byte() -> UInt8 {
    if next == end { fill() }
    defer { next += 1 }
    return input[next]
  }

  /// One line without its end.
  func readLine() -> [UInt8] {
    var line: [UInt8] = []
    while true {
      let byte = byte()
      if byte == 13 {
        _ = self.byte()
        return line
      }
      line.append(byte)
    }
  }

  /// The number of a header line such as `$200`.
  func readCount(_ kind: Unicode.Scalar) -> Int {
    guard byte() == UInt8(ascii: kind) else { fatalError("unexpected answer of Redis") }
    var number = 0
    var sign = 1
    while true {
      let byte = byte()
      if byte == 13 {
        _ = self.byte()
        return number * sign
      }
      if byte == 45 { sign = -1 } else { number = number * 10 + Int(byte) - 48 }
    }
  }

  func readBulk(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = readCount("$")
    guard count >= 0 else { return 0 }
    while end - next < count + 2 {
      if end == input.count || next == end || end - next < count + 2 { fill() }
    }
    input.withUnsafeBytes {
      buffer.baseAddress?.copyMemory(from: $0.baseAddress! + next, byteCount: count)
    }
    next += count + 2
    return count
  }
}

private func loopback(_ port: UInt16) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return address
}

private func freePort() -> UInt16 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var address = loopback(0)
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      _ = bind(descriptor, $0, size)
      _ = getsockname(descriptor, $0, &size)
    }
  }
  return UInt16(bigEndian: address.sin_port)
}
