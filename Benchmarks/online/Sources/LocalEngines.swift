import CFlatIndex
import CSQLitePeer
import FeatureModel
import Glibc

/// The limit: a flat table in memory, one writer, nothing checked, nothing kept.
final class FlatEngine: Engine, @unchecked Sendable {
  // Unchecked: filled before it is read by several threads.
  let name = "flat index in memory"
  private let index: OpaquePointer

  init(capacity: Int) {
    guard let index = flat_index_create(capacity) else { fatalError("no memory") }
    self.index = index
  }

  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int {
    key.withUnsafeBytes { flat_index_get(index, $0.baseAddress, buffer.baseAddress) }
  }

  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    keys.bytes.withUnsafeBytes {
      flat_index_get_batch(index, $0.baseAddress, keys.count, buffer.baseAddress, 256)
    }
  }

  func put(_ records: [(key: [UInt8], row: [UInt8])]) {
    for (key, row) in records { flat_index_put(index, key, row) }
  }

  func close() { flat_index_destroy(index) }
}

/// SQLite in WAL mode with prepared statements: a connection a reading thread, one for all writers, who
/// take turns (connections of their own would wait for each other in sleeps).
final class SQLiteEngine: Engine, @unchecked Sendable {
  // Unchecked: `idle` and `writer` are used under their mutexes only.
  let name = "SQLite"
  private let path: String
  private let isDurable: Bool
  private var idle: [Reader] = []
  private let readers = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let writing = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var writer: OpaquePointer?
  private var begin: OpaquePointer?
  private var insert: OpaquePointer?
  private var commit: OpaquePointer?

  private struct Reader {
    var connection: OpaquePointer?
    var select: OpaquePointer?
  }

  init(_ directory: String, isDurable: Bool) {
    mkdir(directory, 0o700)
    path = directory + "/records.db"
    self.isDurable = isDurable
    pthread_mutex_init(readers, nil)
    pthread_mutex_init(writing, nil)
    writer = connect()
    SQLiteEngine.run(
      writer, "CREATE TABLE records (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID")
    begin = SQLiteEngine.prepare(writer, "BEGIN IMMEDIATE")
    insert = SQLiteEngine.prepare(writer, "INSERT OR REPLACE INTO records VALUES (?, ?)")
    commit = SQLiteEngine.prepare(writer, "COMMIT")
  }

  private func connect() -> OpaquePointer? {
    var connection: OpaquePointer?
    guard sqlite3_open(path, &connection) == SQLITE_OK else { fatalError("SQLite open") }
    SQLiteEngine.run(connection, "PRAGMA journal_mode = WAL")
    SQLiteEngine.run(connection, "PRAGMA synchronous = \(isDurable ? "FULL" : "NORMAL")")
    SQLiteEngine.run(connection, "PRAGMA mmap_size = 17179869184")
    SQLiteEngine.run(connection, "PRAGMA cache_size = -1048576")
    return connection
  }

  private static func run(_ connection: OpaquePointer?, _ sql: String) {
    guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else {
      fatalError("SQLite: \(sql): \(String(cString: sqlite3_errmsg(connection)))")
    }
  }

  private static func prepare(_ connection: OpaquePointer?, _ sql: String) -> OpaquePointer? {
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else {
      fatalError("SQLite: \(String(cString: sqlite3_errmsg(connection)))")
    }
    return statement
  }

  private func withReader<Result>(_ body: (Reader) -> Result) -> Result {
    pthread_mutex_lock(readers)
    let taken = idle.popLast()
    pthread_mutex_unlock(readers)
    var reader = taken ?? Reader(connection: connect())
    if taken == nil {
      reader.select = SQLiteEngine.prepare(
        reader.connection, "SELECT row FROM records WHERE key = ?")
    }
    defer {
      pthread_mutex_lock(readers)
      idle.append(reader)
      pthread_mutex_unlock(readers)
    }
    return body(reader)
  }

  private func read(
    _ select: OpaquePointer?, _ key: UnsafeRawBufferPointer,
    into buffer: UnsafeMutableRawBufferPointer
  ) -> Int {
    sqlite3_bind_blob(select, 1, key.baseAddress, Int32(key.count), nil)
    defer { sqlite3_reset(select) }
    guard sqlite3_step(select) == SQLITE_ROW, let bytes = sqlite3_column_blob(select, 0) else {
      return 0
    }
    let count = Int(sqlite3_column_bytes(select, 0))
    buffer.baseAddress?.copyMemory(from: bytes, byteCount: count)
    return count
  }

  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int {
    withReader { reader in key.withUnsafeBytes { read(reader.select, $0, into: buffer) } }
  }

  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    withReader { reader in
      SQLiteEngine.run(reader.connection, "BEGIN")
      defer { SQLiteEngine.run(reader.connection, "COMMIT") }
      var total = 0
      for index in 0..<keys.count {
        keys[index].withUnsafeBytes {
          total += read(
            reader.select, $0,
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[(index * 256)...]))
        }
      }
      return total
    }
  }

  func put(_ records: [(key: [UInt8], row: [UInt8])]) {
    pthread_mutex_lock(writing)
    defer { pthread_mutex_unlock(writing) }
    step(begin)
    for (key, row) in records {
      key.withUnsafeBytes { key in
        row.withUnsafeBytes { row in
          sqlite3_bind_blob(insert, 1, key.baseAddress, Int32(key.count), nil)
          sqlite3_bind_blob(insert, 2, row.baseAddress, Int32(row.count), nil)
          step(insert)
        }
      }
    }
    step(commit)
  }

  private func step(_ statement: OpaquePointer?) {
    guard sqlite3_step(statement) == SQLITE_DONE, sqlite3_reset(statement) == SQLITE_OK else {
      fatalError("SQLite: \(String(cString: sqlite3_errmsg(writer)))")
    }
  }

  func close() {
    for statement in [begin, insert, commit] { sqlite3_finalize(statement) }
    for reader in idle {
      sqlite3_finalize(reader.select)
      sqlite3_close(reader.connection)
    }
    sqlite3_close(writer)
  }
}
