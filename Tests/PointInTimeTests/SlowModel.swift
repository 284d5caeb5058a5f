import Columnar
import PointInTime

/// One feature row, as plainly as can be.
struct Event {
  var key: [String?]
  var eventTime: Int64?
  var number: Int64
  var isDeleted: Bool
  var writeTime: Int64?
  var expiresAt: Int64?
}

struct Moment {
  var key: [String?]
  var time: Int64?
}

struct Rules {
  var ttl: Int64?
  var visibility: JoinRules.Visibility = .event
  var bounds: JoinRules.Bounds = .inclusive
  var offset: Int64 = 0

  func forJoin() throws -> JoinRules {
    try JoinRules(
      timeToLiveMicroseconds: ttl, visibility: visibility, bounds: bounds,
      offsetMicroseconds: offset)
  }
}

/// The definition, written as nested loops over all rows, in wide integers: nothing shared with the
/// engine but the words of the rule.
func slowAnswer(
  _ moment: Moment, _ events: [Event], _ rules: Rules
) -> (outcome: PointInTimeResult.Outcome, winner: Int?) {
  guard let time = moment.time, !moment.key.contains(nil) else { return (.nullKey, nil) }
  func isBefore(_ instant: Int128) -> Bool {
    rules.bounds == .inclusive ? instant <= Int128(time) : instant < Int128(time)
  }
  var isWritten = false
  var isPast = false
  var winner: Int?
  for (index, event) in events.enumerated() {
    guard event.key == moment.key, let eventTime = event.eventTime else { continue }
    isWritten = true
    guard isBefore(Int128(eventTime) + Int128(rules.offset)),
      Int128(eventTime) + Int128(rules.offset) <= Int128(Int64.max)
    else { continue }
    isPast = true
    if rules.visibility == .ingested {
      guard let writeTime = event.writeTime, isBefore(Int128(writeTime)) else { continue }
    }
    if let other = winner, let otherTime = events[other].eventTime,
      (eventTime, event.number) < (otherTime, events[other].number)
    {
      continue
    }
    winner = index
  }
  guard let winner, let eventTime = events[winner].eventTime else {
    return (isPast ? .late : isWritten ? .noneBefore : .neverWritten, nil)
  }
  if events[winner].isDeleted { return (.deleted, nil) }
  if let expiresAt = events[winner].expiresAt, expiresAt < time { return (.expired, nil) }
  if let ttl = rules.ttl, Int128(time) - Int128(ttl) > Int128(eventTime) { return (.expired, nil) }
  return (.found, winner)
}

/// How the text parts of a key become columns.
enum KeyShape: CaseIterable {
  case string, long, mixed, uuidAndBoolean

  func columns(_ keys: [[String?]]) -> [Column] {
    switch self {
    case .string: return [strings(keys.map { $0[0] })]
    case .long: return [longs(keys.map { $0[0].map { Int64($0.utf8.count) &* 7 - 9 } })]
    case .mixed:
      return [
        strings(keys.map { $0[0] }), longs(keys.map { $0[1].map { Int64($0.utf8.count) } }),
        strings(keys.map { $0[1] }),
      ]
    case .uuidAndBoolean:
      var fixed = BytesBuilder(.fixedSizeBinary(16))
      var flags = BooleanBuilder()
      for key in keys {
        if let part = key[0] {
          fixed.append(Array((part + "0123456789abcdef").utf8.prefix(16)))
        } else {
          fixed.appendNull()
        }
        if let part = key[1] { flags.append(part.utf8.count > 1) } else { flags.appendNull() }
      }
      return [fixed.finish(), flags.finish()]
    }
  }

  /// Key texts that stay different as columns of this shape.
  var parts: [[String]] {
    switch self {
    case .string: return [["", "a", "ab", "abcdefgh", "abcdefghi", "ü"]]
    case .long: return [["", "a", "bb", "ccc"]]
    case .mixed: return [["", "a", "ab"], ["", "b", "bc", "c"]]
    case .uuidAndBoolean: return [["", "x", "yy"], ["a", "bb"]]
    }
  }
}

func longs(_ values: [Int64?], _ type: DataType = .int64) -> Column {
  var builder = FixedWidthBuilder<Int64>(type, zero: 0)
  for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
  return builder.finish()
}

func strings(_ values: [String?]) -> Column {
  var builder = BytesBuilder(.string)
  for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
  return builder.finish()
}

func booleans(_ values: [Bool?]) -> Column {
  var builder = BooleanBuilder()
  for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
  return builder.finish()
}

let timestamps = DataType.timestamp(isUTC: true)

func batch(_ events: ArraySlice<Event>, _ shape: KeyShape) -> PointInTimeJoin.Batch {
  PointInTimeJoin.Batch(
    keys: shape.columns(events.map(\.key)), eventTimes: longs(events.map(\.eventTime), timestamps),
    logSequenceNumbers: longs(events.map(\.number)), isDeleted: booleans(events.map(\.isDeleted)),
    writeTimes: longs(events.map(\.writeTime), timestamps),
    expiresAt: longs(events.map(\.expiresAt), timestamps))
}
