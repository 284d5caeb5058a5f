internal import Columnar
internal import FeatureModel
internal import Iceberg

/// Parts of a training set, each an output of its own.
public enum TrainingSetSplit: Hashable, Sendable {
  public struct Share: Hashable, Sendable {
    public var name: String
    /// Between 0 and 1.
    public var share: Double

    public init(name: String, share: Double) {
      self.name = name
      self.share = share
    }
  }

  /// By a hash of these columns of the spine, so that all rows of a key are in one part, in this training set and
  /// in every other one with the same shares and seed. The shares add up to 1.
  ///
  /// The hash is Murmur3's 32-bit x86 variant, as Iceberg's `bucket` has it: of integers, dates, timestamps (in
  /// microseconds) and booleans (0 or 1) the eight bytes of the number, little-endian; of text its UTF-8; of bytes
  /// themselves. Each column is hashed with the hash of the one before as its seed, the first one with `seed`; a
  /// null leaves the hash as it is. A row is in the first part whose shares up to there, times 2^32, are above
  /// its hash.
  case byKey(columns: [String], shares: [Share], seed: UInt32 = 0)
  /// By time: `train` has the rows all of whose moments are before the first cut, `test` those with one at or after
  /// the last; with two cuts `validation` has what is between. So no value that a row of an earlier part has is from
  /// after its cut. A row without a moment is in the last part. Microseconds since 1970, ascending.
  case byTime([Int64])

  /// The parts' names, in order.
  public var names: [String] {
    switch self {
    case .byKey(_, let shares, _): shares.map(\.name)
    case .byTime(let cuts): cuts.count == 2 ? ["train", "validation", "test"] : ["train", "test"]
    }
  }
}

/// Says of each row of a training set which part it is in.
struct SplitRule {
  private let split: TrainingSetSplit
  /// The columns that are hashed, or have the moments.
  private let columns: [Int]
  private let limits: [UInt64]
  private let timeSchema: Schema

  /// - Parameter timeColumns: all the spine's columns of moments that something is asked for.
  init(_ split: TrainingSetSplit, spine: Schema, timeColumns: [String]) throws {
    func invalid(_ message: String) -> FeatureStoreError {
      FeatureStoreError(.invalidArgument, "the split \(message)")
    }
    func place(_ name: String) throws -> Int {
      guard let index = spine.index(of: name) else {
        throw Registry.unknown(
          "spine column to split by", name, among: spine.fields.map(\.name))
      }
      return index
    }
    self.split = split
    let names = split.names
    guard names.count > 1, Set(names.map { $0.lowercased() }).count == names.count else {
      throw invalid("needs two parts at least, with different names")
    }
    for name in names { try Name.validate(name, as: "part of a training set") }
    switch split {
    case .byKey(let keys, let shares, _):
      guard !keys.isEmpty else { throw invalid("needs a column to split by") }
      let sum = shares.reduce(0) { $0 + $1.share }
      guard shares.allSatisfy({ $0.share > 0 }), abs(sum - 1) < 1e-9 else {
        throw invalid("needs shares above 0 that add up to 1, not \(sum)")
      }
      var total = 0.0
      var limits: [UInt64] = []
      for share in shares {
        total += share.share
        limits.append(UInt64((total * 4_294_967_296).rounded()))
      }
      limits[limits.count - 1] = 1 << 32
      self.limits = limits
      columns = try keys.map(place)
      for index in columns {
        switch spine.fields[index].type {
        case .boolean, .int32, .int64, .date, .timestamp, .string, .binary, .fixedSizeBinary: break
        case let type:
          throw invalid("cannot go by '\(spine.fields[index].name)', which is \(type)")
        }
      }
      timeSchema = Schema([])
    case .byTime(let cuts):
      guard (1...2).contains(cuts.count), cuts == cuts.sorted(), Set(cuts).count == cuts.count
      else { throw invalid("by time needs one moment, or two in ascending order") }
      var seen: Set<String> = []
      let times = timeColumns.filter { seen.insert($0).inserted }
      columns = try times.map(place)
      timeSchema = Schema(times.map { Field($0, .timestamp(isUTC: true)) })
      limits = []
    }
  }

  /// The part of each row; `batch` has the spine's columns first.
  func parts(of batch: RecordBatch) throws -> [Int] {
    switch split {
    case .byKey(_, _, let seed): return byKey(batch, seed: seed)
    case .byTime(let cuts): return try byTime(batch, cuts)
    }
  }

  private func byKey(_ batch: RecordBatch, seed: UInt32) -> [Int] {
    var hashes = [UInt32](repeating: seed, count: batch.rowCount)
    for index in columns { batch.columns[index].addHashes(to: &hashes) }
    return hashes.map { hash in
      limits.firstIndex { UInt64(hash) < $0 } ?? limits.count - 1
    }
  }

  private func byTime(_ batch: RecordBatch, _ cuts: [Int64]) throws -> [Int] {
    var parts = [Int](repeating: 0, count: batch.rowCount)
    let own = RecordBatch(
      schema: Schema(columns.map { batch.schema.fields[$0] }),
      columns: columns.map { batch.columns[$0] }, rowCount: batch.rowCount)
    for column in try own.under(timeSchema, of: "the spine").columns {
      let times = column.values(as: Int64.self)
      for row in parts.indices {
        let part = column.isNull(row) ? cuts.count : cuts.filter { $0 <= times[row] }.count
        parts[row] = max(parts[row], part)
      }
    }
    return parts
  }
}

extension Column {
  /// Hashes each value, with what is there as the seed.
  fileprivate func addHashes(to hashes: inout [UInt32]) {
    for row in 0..<count where !isNull(row) {
      let seed = hashes[row]
      switch type {
      case .boolean: hashes[row] = Murmur3.hash(boolean(at: row) ? 1 : 0, seed: seed)
      case .int32, .date:
        hashes[row] = Murmur3.hash(Int64(values(as: Int32.self)[row]), seed: seed)
      case .int64, .timestamp:
        hashes[row] = Murmur3.hash(values(as: Int64.self)[row], seed: seed)
      default: hashes[row] = Murmur3.hash(bytes(at: row), seed: seed)
      }
    }
  }
}
