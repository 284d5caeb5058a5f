/// One value of a feature, an identifier or an event time, for the interfaces that speak of single
/// records. Bulk paths use columns instead.
public enum FeatureValue: Hashable, Sendable {
  case null
  case boolean(Bool)
  case int(Int32)
  case long(Int64)
  case float(Float)
  case double(Double)
  case string(String)
  case binary([UInt8])
  /// Days since 1970-01-01.
  case date(Int32)
  /// Microseconds since 1970-01-01T00:00:00Z.
  case timestamp(Int64)
  /// The value times ten to the power of the type's scale.
  case decimal(unscaled: Int128)
  /// 16 bytes, big-endian.
  case uuid([UInt8])
  case list([FeatureValue])
}
