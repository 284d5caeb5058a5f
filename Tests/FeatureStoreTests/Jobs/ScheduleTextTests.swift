import FeatureStore
import Testing

@Suite struct ScheduleTextTests {
  @Test func aCrontabLineQuotesWhatAShellWouldRead() {
    let plain = ScheduleText(command: "/usr/bin/fstore", store: "/var/lib/store")
    #expect(
      plain.crontab
        == "*/15 * * * * /usr/bin/fstore jobs run --store /var/lib/store || [ $? -eq 75 ]\n")
    let odd = ScheduleText(
      command: "/usr/bin/fstore", store: "/data/50% of it's", intervalMinutes: 5)
    #expect(odd.crontab.contains(#"--store '/data/50\% of it'\''s' ||"#))
    #expect(odd.crontab.hasPrefix("*/5 "))
  }

  @Test func aUnitQuotesWhatSystemdWouldRead() {
    let text = ScheduleText(command: "/usr/bin/fstore", store: "/data/50% of $HOME \"x\"")
    let units = text.systemd
    #expect(units.map(\.name) == ["fstore-jobs.service", "fstore-jobs.timer"])
    #expect(
      units[0].text.contains(
        #"ExecStart=/usr/bin/fstore jobs run --store "/data/50%% of $$HOME \"x\"""#),
      "\(units[0].text)")
    #expect(units[0].text.contains("SuccessExitStatus=75"))
    #expect(
      units[1].text.contains("OnCalendar=*:0/15") && units[1].text.contains("Persistent=true"))
  }
}
