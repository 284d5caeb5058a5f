/// Cuts CSV text (RFC 4180) into records and fields.
///
/// Our own and not Arrow's, because Arrow counts rows: after a quoted line break or a blank line it
/// names the wrong line, it does not tell a quoted value from a bare one, and it gives up at text after
/// a closing quote. Here every record knows the line on which it begins.
///
/// - A field is quoted when it begins with a quote; a quote further on stands for itself.
/// - Lines end with LF, CRLF or CR. Blank lines are skipped. A quoted value may have line breaks.
struct CSVTokenizer {
  let delimiter: UInt8
  private let quote = UInt8(ascii: "\"")
  private let lineFeed = UInt8(ascii: "\n")
  private let carriageReturn = UInt8(ascii: "\r")

  /// The line that the next byte is on, from 1.
  private(set) var line = 1

  init(delimiter: UInt8) { self.delimiter = delimiter }

  struct Field {
    var start: Int32
    var end: Int32
    var isQuoted = false
    /// Whether doubled quotes are inside, to be halved.
    var hasQuotes = false

    var range: Range<Int> { Int(start)..<Int(end) }
  }

  struct Record {
    var line: Int
    var firstField: Int
    var fieldCount: Int
    /// What is wrong with the record as a whole.
    var problem: String?
  }

  /// Records found in a block.
  struct Records {
    var fields: [Field] = []
    var records: [Record] = []
    /// Bytes of the block that belong to these records.
    var used = 0
  }

  private enum Outcome {
    case record(end: Int)
    case blank(end: Int)
    /// The block ends within the record.
    case incomplete
  }

  /// Finds the records that end within `bytes`, and at the end of the file the last one too.
  mutating func records(
    in bytes: Span<UInt8>, isAtEnd: Bool, limit: Int = .max
  ) -> Records {
    var found = Records()
    while found.used < bytes.count, found.records.count < limit {
      let firstField = found.fields.count
      let firstLine = line
      var problem: String?
      switch record(bytes, from: found.used, isAtEnd: isAtEnd, &found.fields, &problem) {
      case .record(let end):
        found.records.append(
          Record(
            line: firstLine, firstField: firstField, fieldCount: found.fields.count - firstField,
            problem: problem))
        found.used = end
      case .blank(let end):
        found.fields.removeLast(found.fields.count - firstField)
        found.used = end
      case .incomplete:
        found.fields.removeLast(found.fields.count - firstField)
        line = firstLine
        return found
      }
    }
    return found
  }

  private mutating func record(
    _ bytes: Span<UInt8>, from start: Int, isAtEnd: Bool, _ fields: inout [Field],
    _ problem: inout String?
  ) -> Outcome {
    let count = bytes.count
    var index = start
    let firstField = fields.count
    while true {
      var field = Field(start: Int32(index), end: Int32(index))
      if index < count, bytes[index] == quote {
        guard let end = quoted(bytes, from: index + 1, &field) else {
          if !isAtEnd { return .incomplete }
          problem = problem ?? "has a quote that is never closed"
          fields.append(field)
          return .record(end: count)
        }
        index = end
        // What may follow is decided by the next byte, which may not be here yet.
        if index == count, !isAtEnd { return .incomplete }
      }
      let bare = index
      while index < count, bytes[index] != delimiter, bytes[index] != lineFeed,
        bytes[index] != carriageReturn
      {
        index += 1
      }
      if !field.isQuoted {
        field.end = Int32(index)
      } else if index > bare {
        problem = problem ?? "has text after a closing quote"
      }
      if index == count, !isAtEnd { return .incomplete }
      fields.append(field)
      if index < count, bytes[index] == delimiter {
        index += 1
        continue
      }
      if index < count, bytes[index] == carriageReturn {
        if index + 1 == count, !isAtEnd { return .incomplete }
        index += index + 1 < count && bytes[index + 1] == lineFeed ? 2 : 1
        line += 1
      } else if index < count {
        index += 1
        line += 1
      }
      let isBlank =
        fields.count == firstField + 1 && field.start == field.end && !field.isQuoted
      return isBlank ? .blank(end: index) : .record(end: index)
    }
  }

  /// The position after the closing quote; nil when it is not there.
  private mutating func quoted(
    _ bytes: Span<UInt8>, from start: Int, _ field: inout Field
  ) -> Int? {
    field.isQuoted = true
    field.start = Int32(start)
    var index = start
    while index < bytes.count {
      let byte = bytes[index]
      if byte == quote {
        guard index + 1 < bytes.count, bytes[index + 1] == quote else {
          field.end = Int32(index)
          return index + 1
        }
        field.hasQuotes = true
        index += 1
      } else if byte == lineFeed {
        line += 1
      } else if byte == carriageReturn, index + 1 < bytes.count, bytes[index + 1] != lineFeed {
        line += 1
      }
      index += 1
    }
    field.end = Int32(bytes.count)
    return nil
  }
}
