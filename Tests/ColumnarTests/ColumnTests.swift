import Columnar
import Testing

@Suite struct ColumnTests {
  @Test func fixedWidthValuesAndNulls() {
    var builder = FixedWidthBuilder(.int64, zero: Int64(0))
    for index in 0..<200 {
      if index % 7 == 3 { builder.appendNull() } else { builder.append(Int64(index)) }
    }
    let column = builder.finish()
    #expect(column.count == 200)
    #expect(column.nullCount == (0..<200).count { $0 % 7 == 3 })
    let slice = column.slice(65..<140)
    #expect(slice.nullCount == (65..<140).count { $0 % 7 == 3 })
    let values = slice.values(as: Int64.self)
    for index in 0..<75 where !slice.isNull(index) { #expect(values[index] == Int64(65 + index)) }
    #expect(builder.count == 0)
  }

  @Test func booleansOfASlice() {
    let bits = Buffer(copying: [0b1010_0110, 0b0000_0001] as [UInt8])
    let column = Column(type: .boolean, count: 9, buffers: [bits]).slice(2..<9)
    let values = column.booleans
    #expect((0..<values.count).map { values[$0] } == [true, false, false, true, false, true, true])
    #expect((0..<values.count).allSatisfy { values[$0] == column.boolean(at: $0) })
    #expect(
      values.trueCount == 4 && BooleanSpan.empty.count == 0 && BooleanSpan.empty.trueCount == 0)
  }

  @Test func stringsKeepEmptyApartFromNull() {
    var builder = BytesBuilder(.string)
    builder.append("")
    builder.appendNull()
    builder.append("naïve 日本")
    let column = builder.finish()
    #expect(!column.isNull(0) && column.isNull(1))
    #expect(column.string(at: 0) == "" && column.string(at: 2) == "naïve 日本")
    #expect(column.slice(2..<3).string(at: 0) == "naïve 日本")
    #expect(column.validateOffsets())
  }

  @Test func offsetsFromOutsideAreChecked() {
    let column = Column(
      type: .string, count: 2,
      buffers: [Buffer(copying: [0, 5, 3] as [Int32]), Buffer(copying: [1, 2, 3] as [UInt8])])
    #expect(!column.validateOffsets())
    let beyond = Column(
      type: .string, count: 1,
      buffers: [Buffer(copying: [0, 4] as [Int32]), Buffer(copying: [1, 2, 3] as [UInt8])])
    #expect(!beyond.validateOffsets())
  }

  @Test func bitmapCountsOnesFromAnyOffset() {
    var builder = BitmapBuilder()
    for index in 0..<300 { builder.append(index % 3 == 0) }
    let buffer = builder.buffer()
    for offset in [0, 1, 7, 8, 63, 64, 65] {
      for count in [0, 1, 8, 64, 65, 200] {
        let expected = (offset..<offset + count).count { $0 % 3 == 0 }
        #expect(Bitmap.countOnes(buffer.bytes, offset: offset, count: count) == expected)
      }
    }
  }
}
