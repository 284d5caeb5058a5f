import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct WriteAheadLogTests {
  @Test func onlyTheWriterHoldsTheLock() throws {
    try withTemporaryDirectory { directory in
      let files = POSIXFileSystem()
      var options = WriteAheadLogOptions()
      options.segmentCapacityBytes = 16 << 10
      let log = try WriteAheadLog.open(directory: directory, fileSystem: files, options: options)
      _ = try log.append(LogRecords([[1], [2, 3]]))
      #expect(throws: WriteAheadLogError.self) {
        try WriteAheadLog.open(directory: directory, fileSystem: files, options: options)
      }
      options.isReadOnly = true
      let reader = try WriteAheadLog.open(
        directory: directory, fileSystem: files, options: options)
      #expect(reader.readableLSN == 2)
      #expect(throws: WriteAheadLogError.openedForReadingOnly) {
        try reader.append(LogRecords([[1]]))
      }
      try log.close()
      #expect(throws: WriteAheadLogError.closed) { try log.append(LogRecords([[1]])) }
    }
  }
}
