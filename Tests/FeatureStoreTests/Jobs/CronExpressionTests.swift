import FeatureStore
import Foundation
import Testing

@Suite struct CronExpressionTests {
  /// Microseconds of a moment in UTC.
  static func moment(_ text: String) throws -> Int64 {
    let date = try #require(ISO8601DateFormatter().date(from: text))
    return Int64(date.timeIntervalSince1970) * 1_000_000
  }

  static func text(_ microseconds: Int64?) -> String {
    guard let microseconds else { return "never" }
    return ISO8601DateFormatter().string(
      from: Date(timeIntervalSince1970: Double(microseconds / 1_000_000)))
  }

  @Test(arguments: [
    ("* * * * *", "2026-11-26T14:00:30Z", "2026-11-26T14:01:00Z"),
    ("* * * * *", "2026-11-26T14:00:00Z", "2026-11-26T14:01:00Z"),
    ("0 */6 * * *", "2026-11-26T14:00:30Z", "2026-11-26T18:00:00Z"),
    ("0 */6 * * *", "2026-12-31T18:00:00Z", "2027-01-01T00:00:00Z"),
    ("15,45 2-4 * * *", "2026-11-26T04:20:00Z", "2026-11-26T04:45:00Z"),
    ("15,45 2-4 * * *", "2026-11-26T04:45:00Z", "2026-11-27T02:15:00Z"),
    ("5/20 * * * *", "2026-11-26T04:06:00Z", "2026-11-26T04:25:00Z"),
    ("0 0 29 2 *", "2026-11-26T00:00:00Z", "2028-02-29T00:00:00Z"),
    ("0 0 29 feb *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
    ("0 12 * * mon-fri", "2026-11-27T12:00:00Z", "2026-11-30T12:00:00Z"),
    ("0 12 * * 7", "2026-11-26T00:00:00Z", "2026-11-29T12:00:00Z"),
    // Both days restricted: either is enough.
    ("0 0 1 * sun", "2026-11-26T00:00:00Z", "2026-11-29T00:00:00Z"),
    ("0 0 1 * sun", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z"),
    ("@weekly", "2026-11-26T00:00:00Z", "2026-11-29T00:00:00Z"),
    ("@yearly", "2026-11-26T00:00:00Z", "2027-01-01T00:00:00Z"),
    ("30 23 * * *", "1969-12-31T23:00:00Z", "1969-12-31T23:30:00Z"),
  ])
  func theNextMomentIsCrons(expression: String, after: String, next: String) throws {
    let cron = try CronExpression(expression)
    #expect(Self.text(cron.next(afterMicroseconds: try Self.moment(after))) == next)
  }

  @Test(arguments: [
    "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
    "* * * 13 *", "* * * * 8", "*/0 * * * *", "*/99 * * * *", "5-1 * * * *", "a * * * *",
    "1, * * * *", "-1 * * * *", "1- * * * *", "* * * foo *", "@never", "0 0 31 2 *",
    "99999999999999999999 * * * *",
  ])
  func whatIsNoExpressionIsRefused(text: String) {
    let error = #expect(throws: FeatureStoreError.self) { try CronExpression(text) }
    #expect(error?.code == .invalidArgument)
  }

  /// Against a slow model that looks at every minute.
  @Test(arguments: 0..<40)
  func randomExpressionsAgreeWithAWalkOverMinutes(seed: Int) throws {
    var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
    func random(_ range: ClosedRange<Int>) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return range.lowerBound + Int(state >> 33) % range.count
    }
    /// `most` is the last value that there is, which stars and steps reach too.
    func field(_ range: ClosedRange<Int>, most: Int) -> (text: String, values: Set<Int>) {
      switch random(0...3) {
      case 0: return ("*", Set(range.lowerBound...most))
      case 1:
        let low = random(range)
        let high = random(low...range.upperBound)
        return ("\(low)-\(high)", Set(low...high))
      case 2:
        let step = random(2...7)
        return ("*/\(step)", Set(stride(from: range.lowerBound, through: most, by: step)))
      default:
        let values = [random(range), random(range)]
        return ("\(values[0]),\(values[1])", Set(values))
      }
    }
    let fields = [
      field(0...59, most: 59), field(0...23, most: 23), field(1...28, most: 31),
      field(1...12, most: 12), field(0...6, most: 6),
    ]
    let cron = try CronExpression(fields.map(\.text).joined(separator: " "))
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
    var minute = Int64(random(0...30_000_000))
    let start = minute
    let isStarred = fields[2].text.hasPrefix("*") || fields[4].text.hasPrefix("*")
    // At most two months: a walk is slow.
    while minute < start + 90_000 {
      minute += 1
      let parts = calendar.dateComponents(
        [.minute, .hour, .day, .month, .weekday],
        from: Date(timeIntervalSince1970: Double(minute * 60)))
      let ofMonth = fields[2].values.contains(parts.day ?? 0)
      let ofWeek = fields[4].values.contains((parts.weekday ?? 0) - 1)
      guard fields[0].values.contains(parts.minute ?? -1),
        fields[1].values.contains(parts.hour ?? -1), fields[3].values.contains(parts.month ?? -1),
        isStarred ? ofMonth && ofWeek : ofMonth || ofWeek
      else { continue }
      break
    }
    let next = try #require(cron.next(afterMicroseconds: start * 60_000_000))
    if minute < start + 90_000 {
      #expect(next == minute * 60_000_000, "\(cron)")
    } else {
      #expect(next >= minute * 60_000_000, "\(cron)")
    }
  }
}
