public import Columnar

// Transforms of whole columns: the type is looked at once, then come plain loops.
extension Transform {
  /// The derived column, of the type that `resultType` says; nulls stay null.
  ///
  /// - Parameter type: the source field's type, of which `column` is.
  public func apply(_ column: Column, type: IcebergType) throws(IcebergError) -> Column {
    guard column.type == type.dataType else {
      throw IcebergError(.invalidArgument, "a column of \(column.type) is none of \(type)")
    }
    guard resultType(of: type) != nil else {
      throw IcebergError(.invalidArgument, "'\(self)' cannot be applied to \(type)")
    }
    switch self {
    case .identity: return column
    case .void: return try column.allNull()
    case .bucket(let count): return column.bucketed(count, type)
    case .truncate(let width): return column.truncated(width)
    case .year, .month, .day, .hour: return column.calendarUnits(self)
    case .unknown: throw IcebergError(.invalidArgument, "'\(self)' is an unknown transform")
    }
  }
}

extension Column {
  /// The validity of these values with the first value's bit at 0.
  private var alignedValidity: Buffer? {
    guard validity != nil, offset > 0 else { return validity }
    var bits = BitmapBuilder()
    bits.reserveCapacity(count)
    for index in 0..<count { bits.append(!isNull(index)) }
    return bits.buffer()
  }

  private func fixedWidth<Element: BitwiseCopyable>(
    _ type: DataType, _ values: [Element]
  ) -> Column {
    Column(
      type: type, count: count, validity: alignedValidity, nullCount: nullCount,
      buffers: [Buffer(copying: values)])
  }

  /// A column in which every value is null.
  fileprivate func allNull() throws(IcebergError) -> Column {
    let nothing = Buffer(copying: [UInt8](repeating: 0, count: Bitmap.byteCount(count)))
    let buffers: [Buffer]
    switch type {
    case .boolean: buffers = [nothing]
    case .string, .binary:
      buffers = [
        Buffer(copying: [Int32](repeating: 0, count: count + 1)), Buffer(copying: [UInt8]()),
      ]
    default:
      guard let width = type.byteWidth else {
        throw IcebergError(.invalidArgument, "'void' cannot be applied to \(type)")
      }
      buffers = [Buffer(copying: [UInt8](repeating: 0, count: count * width))]
    }
    return Column(type: type, count: count, validity: nothing, nullCount: count, buffers: buffers)
  }

  /// What stands in the place of nulls is computed too: it means nothing, and nothing can trap.
  @inline(__always) private func mapped<Source: BitwiseCopyable, Result: BitwiseCopyable>(
    _: Source.Type, _ transform: (Source) -> Result
  ) -> [Result] {
    let source = values(as: Source.self)
    return [Result](makingEach: source.count) { transform(source[$0]) }
  }

  fileprivate func bucketed(_ count: Int32, _ type: IcebergType) -> Column {
    let buckets: [Int32]
    switch type {
    case .int, .date:
      buckets = mapped(Int32.self) { Transform.bucket(Murmur3.hash(Int64($0)), count) }
    case .long, .time, .timestamp, .timestamptz:
      buckets = mapped(Int64.self) { Transform.bucket(Murmur3.hash($0), count) }
    case .timestampNs, .timestamptzNs:
      buckets = mapped(Int64.self) {
        Transform.bucket(Murmur3.hash(CivilTime.flooredQuotient($0, 1_000).0), count)
      }
    case .decimal:
      buckets = mapped(Int128.self) {
        Transform.bucket(Murmur3.hash(Literal.minimalBigEndian($0).span), count)
      }
    default:
      var hashes: [Int32] = []
      hashes.reserveCapacity(self.count)
      for index in 0..<self.count {
        if isNull(index) {
          hashes.append(0)
        } else {
          let value = bytes(at: index)
          hashes.append(Transform.bucket(Murmur3.hash(Span<UInt8>(_bytes: value)), count))
        }
      }
      buckets = hashes
    }
    return fixedWidth(.int32, buckets)
  }

  fileprivate func truncated(_ width: Int32) -> Column {
    switch type {
    case .int32: return fixedWidth(type, mapped(Int32.self) { Transform.truncate($0, width) })
    case .int64:
      return fixedWidth(type, mapped(Int64.self) { Transform.truncate($0, Int64(width)) })
    case .decimal:
      return fixedWidth(type, mapped(Int128.self) { Transform.truncate($0, Int128(width)) })
    default:
      var builder = BytesBuilder(type)
      for index in 0..<count {
        if isNull(index) {
          builder.appendNull()
          continue
        }
        let value = bytes(at: index)
        let length =
          type == .string
          ? Span<UInt8>(_bytes: value).length(ofCodePoints: Int(width))
          : min(Int(width), value.byteCount)
        builder.append(value.extracting(0..<length))
      }
      return builder.finish()
    }
  }

  fileprivate func calendarUnits(_ transform: Transform) -> Column {
    let units: [Int32]
    switch type {
    case .date: units = mapped(Int32.self) { transform.units(ofDays: Int64($0)) }
    case .timestamp:
      units = mapped(Int64.self) { transform.units(ofTimestamp: $0, perSecond: 1_000_000) }
    default:
      units = mapped(Int64.self) { transform.units(ofTimestamp: $0, perSecond: 1_000_000_000) }
    }
    return fixedWidth(transform == .day ? .date : .int32, units)
  }
}

extension Array {
  /// An array made element by element.
  @inline(__always) fileprivate init(
    makingEach count: Int, _ element: (Int) -> Element
  ) {
    self = []
    reserveCapacity(count)
    for index in 0..<count { append(element(index)) }
  }
}

extension Span<UInt8> {
  /// How many bytes the first `limit` code points of UTF-8 text take; all of it when it has fewer.
  func length(ofCodePoints limit: Int) -> Int {
    guard count > limit else { return count }
    var codePoints = 0
    for index in 0..<count where self[index] & 0xC0 != 0x80 {
      if codePoints == limit { return index }
      codePoints += 1
    }
    return count
  }
}
