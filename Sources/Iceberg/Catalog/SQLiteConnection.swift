import CSQLite
import Storage

/// Why SQLite refused a statement.
struct SQLiteError: Error {
  /// SQLite's extended result code.
  var code: Int32
  var message: String
  /// The database's file.
  var path: String

  /// What the file system had against it, where SQLite says.
  var storageError: StorageError? {
    let kind: StorageError.Kind? =
      switch code & 0xFF {
      case SQLITE_FULL: .full
      case SQLITE_IOERR where isWithoutRoom: .full
      case SQLITE_READONLY: .readOnly
      case SQLITE_PERM, SQLITE_AUTH: .permissionDenied
      case SQLITE_IOERR, SQLITE_CANTOPEN: .inputOutput
      default: nil
      }
    return kind.map { StorageError($0, operation: "use", path: path, message: message) }
  }

  /// There was no room for the memory that connections share, so nothing was read or written yet.
  var isWithoutRoom: Bool { code == SQLITE_IOERR | 19 << 8 }  // SQLITE_IOERR_SHMSIZE

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
  private let path: String
  /// Whether the database is on a read-only file system, or may only be read.
  let isReadOnly: Bool
  private var statements: [String: Statement] = [:]

  /// A prepared statement; finalized with the connection.
  @safe private struct Statement {
    let pointer: OpaquePointer
  }

  /// Opens or creates a database in write-ahead mode, in which readers and a writer do not block
  /// one another, with every commit synced. One that cannot be written is opened for reading.
  init(
    path: String, fileSystem: any FileSystem, busyTimeoutMilliseconds: Int32
  ) throws(SQLiteError) {
    self.path = path
    let file = Self.uri(path)
    do {
      unsafe handle = try SQLiteConnection.open(
        file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path: path, busyTimeoutMilliseconds,
        statement: "PRAGMA journal_mode=WAL")
      isReadOnly = false
    } catch {
      guard [SQLITE_READONLY, SQLITE_CANTOPEN].contains(error.code & 0xFF) else { throw error }
      // Without a file of commits beside it nobody is writing, and nothing needs to be locked.
      do {
        unsafe handle = try SQLiteConnection.open(
          file + (Self.hasCommitsBeside(path, fileSystem) ? "" : "?immutable=1"),
          SQLITE_OPEN_READONLY,
          path: path, busyTimeoutMilliseconds, statement: "SELECT 1 FROM sqlite_master LIMIT 1")
      } catch _ { throw error }
      isReadOnly = true
    }
    if !isReadOnly { _ = try run("PRAGMA synchronous=FULL") }
  }

  /// Opens the database and runs a statement, which fails where opening only seemed to succeed.
  @unsafe private static func open(
    _ uri: String, _ flags: Int32, path: String, _ busyTimeoutMilliseconds: Int32,
    statement: String
  ) throws(SQLiteError) -> OpaquePointer {
    var opened: OpaquePointer? = nil
    var result = unsafe sqlite3_open_v2(
      uri, &opened, flags | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    if result == SQLITE_OK {
      unsafe sqlite3_busy_timeout(opened, busyTimeoutMilliseconds)
      result = unsafe sqlite3_exec(opened, statement, nil, nil, nil)
    }
    guard result == SQLITE_OK, let opened = unsafe opened else {
      let message = unsafe String(cString: sqlite3_errmsg(opened))
      unsafe sqlite3_close_v2(opened)
      throw SQLiteError(code: result, message: message, path: path)
    }
    return unsafe opened
  }

  /// Whether commits wait in the write-ahead file to be moved into the database.
  private static func hasCommitsBeside(_ path: String, _ fileSystem: any FileSystem) -> Bool {
    do { return try (fileSystem.information(path + "-wal")?.sizeBytes ?? 0) > 0 } catch {
      return true
    }
  }

  /// A path as SQLite's URI, in which some characters mean something.
  private static func uri(_ path: String) -> String {
    var text = "file:"
    for scalar in path.unicodeScalars {
      if "%?#".unicodeScalars.contains(scalar) {
        text += "%" + String(scalar.value, radix: 16, uppercase: true)
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
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
    SQLiteError(
      code: code, message: unsafe String(cString: sqlite3_errmsg(handle)), path: path)
  }
}
