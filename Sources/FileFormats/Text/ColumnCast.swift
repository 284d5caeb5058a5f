package import Columnar

/// A column of one type as a column of another, where that loses nothing.
///
/// Allowed: the same layout; int to long; int, long and float to double; int to float; decimals to
/// more digits; nanoseconds to microseconds where they are whole and back; date to timestamp; a zone
/// added or dropped (without a zone means UTC); string to anything that `ValueParser` reads; anything of
/// numbers, dates and booleans to string is not: nobody asked for a spelling. A long that is no double
/// exactly, and an out-of-range int, are refused value by value.
struct ColumnCast {
  let target: DataType
  let parser: ValueParser

  init(to target: DataType, epochUnit: TextValue.EpochUnit?) {
    self.target = target
    parser = ValueParser(target, epochUnit: epochUnit)
  }

  static func isPossible(from source: DataType, to target: DataType) -> Bool {
    if target.hasLayout(of: source) { return true }
    switch (source, target) {
    case (.string, _): return true
    case (.int32, .int64), (.int32, .float32), (.int32, .float64), (.int64, .int32),
      (.int64, .float64), (.float32, .float64), (.float64, .float32):
      return true
    case (.decimal(let precision, let scale), .decimal(let wider, let finer)):
      return scale <= finer && precision - scale <= wider - finer
    case (.int32, .decimal), (.int64, .decimal), (.date, .timestamp),
      (.date, .timestampNanoseconds):
      return true
    case (.timestamp, .timestamp), (.timestamp, .timestampNanoseconds),
      (.timestampNanoseconds, .timestamp), (.timestampNanoseconds, .timestampNanoseconds):
      return true
    case (.list(let from), .list(let to)): return isPossible(from: from.type, to: to.type)
    default: return false
    }
  }

  /// The column converted; for each row that does not fit, `refuse` is told why and it is null.
  ///
  /// - Precondition: `isPossible`.
  func cast(_ column: Column, refuse: (_ row: Int, _ value: String, _ why: String) -> Void)
    -> Column
  {
    if column.type == target { return column }
    if target.hasLayout(of: column.type) { return column.relabelled(target) }
    if case .list(let element) = target { return castList(column, element, refuse: refuse) }
    let builder = AnyColumnBuilder(target)
    for row in 0..<column.count {
      if column.isNull(row) {
        builder.appendNull()
        continue
      }
      do throws(ValueError) {
        try append(column, row, to: builder)
      } catch {
        builder.appendNull()
        refuse(row, ColumnCast.shown(column, row), error.message)
      }
    }
    return builder.finish()
  }

  private func castList(
    _ column: Column, _ element: Field, refuse: (Int, String, String) -> Void
  ) -> Column {
    let offsets = column.offsets
    var rowOfElement: [Int: String] = [:]
    let cast = ColumnCast(to: element.type, epochUnit: parser.epochUnit)
    let child = cast.cast(column.children[0]) { place, value, why in
      rowOfElement[place] = "has an element '\(value)' that \(why)"
    }
    if !rowOfElement.isEmpty {
      for row in 0..<column.count where !column.isNull(row) {
        for place in Int(offsets[row])..<Int(offsets[row + 1]) {
          if let why = rowOfElement[place] {
            refuse(row, "a list", why)
            break
          }
        }
      }
    }
    return Column(
      type: target, count: column.count, offset: column.offset, validity: column.validity,
      nullCount: column.nullCount, buffers: column.buffers, children: [child])
  }

  private func append(
    _ column: Column, _ row: Int, to builder: AnyColumnBuilder
  ) throws(ValueError) {
    switch (column.type, target) {
    case (.string, _):
      let bytes = column.bytes(at: row)
      let text = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
      try parser.append(text.span, to: builder)
    case (.int32, .int64): builder.append(Int64(column.values(as: Int32.self)[row]))
    case (.int32, .float64): builder.append(Double(column.values(as: Int32.self)[row]))
    case (.int32, .float32):
      guard let value = Float(exactly: column.values(as: Int32.self)[row]) else {
        throw ValueError("is not exactly a float")
      }
      builder.append(value)
    case (.int64, .int32):
      guard let value = Int32(exactly: column.values(as: Int64.self)[row]) else {
        throw ValueError("is outside the range of int")
      }
      builder.append(value)
    case (.int64, .float64):
      guard let value = Double(exactly: column.values(as: Int64.self)[row]) else {
        throw ValueError("is not exactly a double")
      }
      builder.append(value)
    case (.float32, .float64): builder.append(Double(column.values(as: Float.self)[row]))
    case (.float64, .float32):
      let value = column.values(as: Double.self)[row]
      let narrow = Float(value)
      guard narrow.isFinite || !value.isFinite else {
        throw ValueError("is outside the range of float")
      }
      builder.append(narrow)
    case (.decimal, .decimal(let precision, let scale)):
      try appendDecimal(
        column.values(as: Int128.self)[row], from: column.type.scale, precision, scale, builder)
    case (.int32, .decimal(let precision, let scale)):
      try appendDecimal(
        Int128(column.values(as: Int32.self)[row]), from: 0, precision, scale, builder)
    case (.int64, .decimal(let precision, let scale)):
      try appendDecimal(
        Int128(column.values(as: Int64.self)[row]), from: 0, precision, scale, builder)
    default: builder.append(try time(column, row))
    }
  }

  private func time(_ column: Column, _ row: Int) throws(ValueError) -> Int64 {
    let (value, unit): (Int64, Int64) =
      switch column.type {
      case .date: (Int64(column.values(as: Int32.self)[row]), 1)
      case .timestamp: (column.values(as: Int64.self)[row], 86_400_000_000)
      default: (column.values(as: Int64.self)[row], 86_400_000_000_000)
      }
    let wanted: Int64 =
      if case .timestampNanoseconds = target { 86_400_000_000_000 } else { 86_400_000_000 }
    if unit > wanted {
      guard value % (unit / wanted) == 0 else { throw ValueError("is finer than microseconds") }
      return value / (unit / wanted)
    }
    let (scaled, overflow) = value.multipliedReportingOverflow(by: wanted / unit)
    if overflow { throw ValueError("is outside the range of \(target)") }
    return scaled
  }

  private func appendDecimal(
    _ value: Int128, from scale: Int, _ precision: Int, _ wanted: Int, _ builder: AnyColumnBuilder
  ) throws(ValueError) {
    var scaled = value
    var limit: Int128 = 1
    for _ in 0..<min(precision, 38) { limit *= 10 }
    for _ in 0..<max(0, wanted - scale) {
      let (next, overflow) = scaled.multipliedReportingOverflow(by: 10)
      if overflow { throw ValueError("has more than \(precision) digits") }
      scaled = next
    }
    guard scaled < limit, scaled > -limit else {
      throw ValueError("has more than \(precision) digits")
    }
    builder.append(scaled)
  }

  private static func shown(_ column: Column, _ row: Int) -> String {
    switch column.type {
    case .string: column.string(at: row)
    case .int32, .date: String(column.values(as: Int32.self)[row])
    case .float32: String(column.values(as: Float.self)[row])
    case .float64: String(column.values(as: Double.self)[row])
    case .decimal: String(column.values(as: Int128.self)[row])
    case .int64, .timestamp, .timestampNanoseconds, .time:
      String(column.values(as: Int64.self)[row])
    default: "a value"
    }
  }
}

extension DataType {
  fileprivate var scale: Int {
    if case .decimal(_, let scale) = self { scale } else { 0 }
  }
}

extension Column {
  /// The same values under a type of the same layout: with other names or ids of children.
  package func relabelled(_ type: DataType) -> Column {
    let childTypes: [DataType] =
      switch type {
      case .list(let element): [element.type]
      case .structure(let fields): fields.map(\.type)
      case .map(let key, let value): [.structure([key, value])]
      default: []
      }
    return Column(
      type: type, count: count, offset: offset, validity: validity, nullCount: nullCount,
      buffers: buffers, children: zip(children, childTypes).map { $0.relabelled($1) })
  }
}
