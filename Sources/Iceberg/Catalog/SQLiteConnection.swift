import CSQLite

/// Why SQLite refused a statement.
struct SQLiteError: Error {
  /// SQLite's extended result code.
  var code: Int32
  var message: String

  /// Another connection holds the lock for longer than we wait. Nothing was changed.
  var isBusy: Bool { code & 0xFF == SQLITE_BUSY || code & 0xFF == SQLITE_LOCKED }

  /// A row with that key is there already.
  var isConstraint: Bool { code & 0xFF == SQLITE_CONSTRAINT }
}

/// One connection to a SQLite database, with its statements prepared once.
///
/// Not thread-safe by itself: `SQLiteCatalog` holds it behind a mutex. Values are always bound and
/// never part of a statement's text. No statement outlives its call, so that no read transaction
/// stays open (an open one shows other readers a stale table).
@safe final class SQLiteConnection {
  private let handle: OpaquePointer
  private var statements: [String: Statement] = [:]

  /// A prepared statement; finalized with the connection.
  @safe private struct Statement {
    let pointer: OpaquePointer
  }

  /// Opens or creates a database in write-ahead mode, in which readers and a writer do not block
  /// one another, with every commit synced.
  init(path: String, busyTimeoutMilliseconds: Int32) throws(SQLiteError) {
    var opened: OpaquePointer? = nil
    let flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX
      | SQLITE_OPEN_EXRESCODE
    let result = unsafe sqlite3_open_v2(path, &opened, flags, nil)
    guard result == SQLITE_OK, let opened = unsafe opened else {
      unsafe sqlite3_close_v2(opened)
      throw SQLiteError(code: result, message: "cannot open the database '\(path)'")
    }
    unsafe handle = opened
    unsafe sqlite3_busy_timeout(opened, busyTimeoutMilliseconds)
    _ = try run("PRAGMA journal_mode=WAL")
    _ = try run("PRAGMA synchronous=FULL")
  }

  deinit {
    for statement in statements.values { unsafe sqlite3_finalize(statement.pointer) }
    unsafe sqlite3_close_v2(handle)
  }

  /// Runs one statement and returns its rows as text; null is nil.
  @discardableResult
  func run(_ sql: String, _ values: [String?] = []) throws(SQLiteError) -> [[String?]] {
    let statement = try unsafe prepared(sql)
    defer {
      unsafe sqlite3_reset(statement)
      unsafe sqlite3_clear_bindings(statement)
    }
    for (index, value) in values.enumerated() {
      let result =
        if let value {
          unsafe sqlite3_bind_text(
            statement, Int32(index + 1), value, Int32(value.utf8.count),
            unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        } else {
          unsafe sqlite3_bind_null(statement, Int32(index + 1))
        }
      guard result == SQLITE_OK else { throw error(result) }
    }
    var rows: [[String?]] = []
    while true {
      let result = unsafe sqlite3_step(statement)
      if result == SQLITE_DONE { return rows }
      guard result == SQLITE_ROW else { throw error(result) }
      var row: [String?] = []
      for column in 0..<(unsafe sqlite3_column_count(statement)) {
        row.append(unsafe sqlite3_column_text(statement, column).map { unsafe String(cString: $0) })
      }
      rows.append(row)
    }
  }

  /// How many rows the last statement changed.
  var changedRowCount: Int { unsafe Int(sqlite3_changes(handle)) }

  /// Whether a transaction is open.
  var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  /// Waits without using the processor, by SQLite's own means.
  static func pause(milliseconds: Int64) { sqlite3_sleep(Int32(clamping: milliseconds)) }

  @unsafe private func prepared(_ sql: String) throws(SQLiteError) -> OpaquePointer {
    if let statement = statements[sql] { return unsafe statement.pointer }
    var statement: OpaquePointer? = nil
    let result = unsafe sqlite3_prepare_v3(
      handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard result == SQLITE_OK, let statement = unsafe statement else { throw error(result) }
    statements[sql] = unsafe Statement(pointer: statement)
    return unsafe statement
  }

  private func error(_ code: Int32) -> SQLiteError {
    SQLiteError(code: code, message: unsafe String(cString: sqlite3_errmsg(handle)))
  }
}
