/// A column would hold more than 32-bit offsets can name: 2 GiB of text, or as many list elements.
public struct ColumnSizeError: Error, Hashable, Sendable, CustomStringConvertible {
  public init() {}

  public var description: String {
    "a column holds at most 2 GiB of text or 2^31 list elements; take fewer rows at a time"
  }
}
