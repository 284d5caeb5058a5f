import CLMDB
import CRocksDB
import FeatureModel
import Glibc
import OnlineStore
import Storage
import WriteAheadLog

/// What every engine does: rows of bytes by key, copied out into the caller's buffer.
protocol Engine: AnyObject, Sendable {
  var name: String { get }
  /// In another process: asked less often, for it answers more slowly.
  var isRemote: Bool { get }
  /// Copies the row of a key; returns its length.
  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int
  /// Copies the rows of many keys, one behind the other, 256 bytes apart.
  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int
  /// One atomic write, as durable as the engine was opened.
  func put(_ records: [(key: [UInt8], row: [UInt8])])
  func close()
}

extension Engine {
  var isRemote: Bool { false }
}

final class OurEngine: Engine {
  let name = "fstore"
  let store: OnlineStore

  init(_ directory: String, isDurable: Bool, isCheckpointed: Bool = true) throws {
    var options = OnlineStoreOptions()
    if !isCheckpointed { options.checkpointIntervalBytes = .max }
    if !isDurable { options.log.durability = .interval(milliseconds: 1000) }
    store = try OnlineStore.open(
      directory: directory, fileSystem: POSIXFileSystem(), clock: SystemClock(), options: options)
  }

  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let found = try? store.withRecord(groupID: 1, key: key.rawSpan) { record in
      let row = record.row
      row.withUnsafeBytes { buffer.copyMemory(from: $0) }
      return row.byteCount
    }
    return found ?? 0
  }

  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var total = 0
    try? store.withRecords(groupID: 1, keys: keys) { index, record in
      let row = record.row
      row.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(rebasing: buffer[(index * 256)...]).copyMemory(from: $0)
      }
      total += row.byteCount
    }
    return total
  }

  func put(_ records: [(key: [UInt8], row: [UInt8])]) {
    var batch = WriteBatch()
    batch.reserveCapacity(
      recordCount: records.count, sizeBytes: records.count * (Workload.keyBytes + Workload.rowBytes)
    )
    for (key, row) in records {
      batch.put(
        groupID: 1, schemaVersion: 1, eventTime: 1, key: key.rawSpan, row: row.rawSpan)
    }
    do { _ = try store.append(batch) } catch { fatalError("\(error)") }
  }

  func close() { try? store.close() }
}

/// LMDB, opened without read-ahead; a reading thread keeps its transaction and renews it for each call.
final class LMDBEngine: Engine, @unchecked Sendable {
  // Unchecked: LMDB's environment may be used by any thread.
  let name = "LMDB"
  private var environment: OpaquePointer?
  private var database: MDB_dbi = 0
  private var reader = pthread_key_t()

  init(_ directory: String, isDurable: Bool) {
    mkdir(directory, 0o700)
    pthread_key_create(&reader) { mdb_txn_abort($0.map { OpaquePointer($0) }) }
    mdb_env_create(&environment)
    mdb_env_set_mapsize(environment, 16 << 30)
    let flags =
      UInt32(MDB_NORDAHEAD) | UInt32(MDB_NOTLS)
      | (isDurable ? 0 : UInt32(MDB_NOSYNC) | UInt32(MDB_WRITEMAP))
    guard mdb_env_open(environment, directory, flags, 0o600) == 0 else { fatalError("LMDB") }
    var transaction: OpaquePointer?
    mdb_txn_begin(environment, nil, 0, &transaction)
    mdb_dbi_open(transaction, nil, UInt32(MDB_CREATE), &database)
    mdb_txn_commit(transaction)
  }

  /// Reads what is committed now, in the thread's own transaction, which is renewed and not made anew.
  private func read(_ body: (OpaquePointer?) -> Int) -> Int {
    var transaction: OpaquePointer?
    if let kept = pthread_getspecific(reader) {
      transaction = OpaquePointer(kept)
      mdb_txn_renew(transaction)
    } else {
      guard mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction) == 0 else {
        fatalError("LMDB reader")
      }
      pthread_setspecific(reader, UnsafeRawPointer(transaction))
    }
    defer { mdb_txn_reset(transaction) }
    return body(transaction)
  }

  private func get(
    _ transaction: OpaquePointer?, _ key: UnsafeRawBufferPointer,
    into buffer: UnsafeMutableRawBufferPointer
  ) -> Int {
    var name = MDB_val(
      mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
    var value = MDB_val()
    guard mdb_get(transaction, database, &name, &value) == 0 else { return 0 }
    buffer.baseAddress?.copyMemory(from: value.mv_data, byteCount: value.mv_size)
    return value.mv_size
  }

  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int {
    read { transaction in key.withUnsafeBytes { get(transaction, $0, into: buffer) } }
  }

  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    read { transaction in
      var total = 0
      for index in 0..<keys.count {
        keys[index].withUnsafeBytes {
          total += get(
            transaction, $0, into: UnsafeMutableRawBufferPointer(rebasing: buffer[(index * 256)...])
          )
        }
      }
      return total
    }
  }

  func put(_ records: [(key: [UInt8], row: [UInt8])]) {
    var transaction: OpaquePointer?
    mdb_txn_begin(environment, nil, 0, &transaction)
    for (key, row) in records {
      key.withUnsafeBytes { key in
        row.withUnsafeBytes { row in
          var name = MDB_val(
            mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
          var value = MDB_val(
            mv_size: row.count, mv_data: UnsafeMutableRawPointer(mutating: row.baseAddress))
          mdb_put(transaction, database, &name, &value, 0)
        }
      }
    }
    guard mdb_txn_commit(transaction) == 0 else { fatalError("LMDB commit") }
  }

  func close() {
    if let kept = pthread_getspecific(reader) { mdb_txn_abort(OpaquePointer(kept)) }
    pthread_key_delete(reader)
    mdb_env_close(environment)
  }
}

/// RocksDB: 10 bits of bloom filter a key, 1 GiB of block cache, no compression; batches by its batched MultiGet.
final class RocksDBEngine: Engine, @unchecked Sendable {
  // Unchecked: RocksDB's handle may be used by any thread.
  let name = "RocksDB"
  private let database: OpaquePointer
  private let family: OpaquePointer?
  private let readOptions = rocksdb_readoptions_create()
  private let writeOptions = rocksdb_writeoptions_create()

  init(_ directory: String, isDurable: Bool) {
    let options = rocksdb_options_create()
    rocksdb_options_set_create_if_missing(options, 1)
    rocksdb_options_set_compression(options, Int32(rocksdb_no_compression))
    let table = rocksdb_block_based_options_create()
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10))
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(1 << 30))
    rocksdb_options_set_block_based_table_factory(options, table)
    rocksdb_writeoptions_set_sync(writeOptions, isDurable ? 1 : 0)
    var error: UnsafeMutablePointer<CChar>?
    var family: OpaquePointer?
    let opened = "default".withCString { name in
      var names: [UnsafePointer<CChar>?] = [name]
      var familyOptions: [OpaquePointer?] = [options]
      return rocksdb_open_column_families(
        options, directory, 1, &names, &familyOptions, &family, &error)
    }
    guard let opened else { fatalError(error.map { String(cString: $0) } ?? "RocksDB") }
    database = opened
    self.family = family
  }

  /// Brings the database to its best form for reading.
  func compact() { rocksdb_compact_range(database, nil, 0, nil, 0) }

  func get(_ key: [UInt8], into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var error: UnsafeMutablePointer<CChar>?
    let slice = key.withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) {
        rocksdb_get_pinned(database, readOptions, $0.baseAddress, $0.count, &error)
      }
    }
    guard let slice else { return 0 }
    var count = 0
    let value = rocksdb_pinnableslice_value(slice, &count)
    if let value { buffer.baseAddress?.copyMemory(from: value, byteCount: count) }
    rocksdb_pinnableslice_destroy(slice)
    return count
  }

  func getBatch(_ keys: EncodedRows, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = keys.count
    var names: [UnsafePointer<CChar>?] = []
    var sizes: [Int] = []
    for index in 0..<count {
      keys[index].withUnsafeBytes {
        names.append($0.baseAddress?.assumingMemoryBound(to: CChar.self))
        sizes.append($0.count)
      }
    }
    var values = [OpaquePointer?](repeating: nil, count: count)
    var errors = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    rocksdb_batched_multi_get_cf(
      database, readOptions, family, count, &names, &sizes, &values, &errors, false)
    var total = 0
    for index in 0..<count {
      guard let slice = values[index] else { continue }
      var size = 0
      if let value = rocksdb_pinnableslice_value(slice, &size) {
        UnsafeMutableRawBufferPointer(rebasing: buffer[(index * 256)...]).baseAddress?
          .copyMemory(from: value, byteCount: size)
      }
      total += size
      rocksdb_pinnableslice_destroy(slice)
    }
    return total
  }

  func put(_ records: [(key: [UInt8], row: [UInt8])]) {
    let batch = rocksdb_writebatch_create()
    defer { rocksdb_writebatch_destroy(batch) }
    for (key, row) in records {
      key.withUnsafeBytes { key in
        row.withUnsafeBytes { row in
          rocksdb_writebatch_put(
            batch, key.baseAddress?.assumingMemoryBound(to: CChar.self), key.count,
            row.baseAddress?.assumingMemoryBound(to: CChar.self), row.count)
        }
      }
    }
    var error: UnsafeMutablePointer<CChar>?
    rocksdb_write(database, writeOptions, batch, &error)
    if let error { fatalError(String(cString: error)) }
  }

  func close() {
    rocksdb_column_family_handle_destroy(family)
    rocksdb_close(database)
  }
}
