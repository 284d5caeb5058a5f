import Iceberg
import JSON
import Testing

/// Plans equal to the reference implementation's, and the rules that its cases do not reach.
@Suite struct BinPackPlannerTests {
  private struct Group: Hashable {
    var files: [Int64]
    var outputs: Int64
    var split: Int64
    var largest: Int64
  }

  private func candidates(_ example: JSONValue) -> [RewriteCandidate] {
    var candidates: [RewriteCandidate] = []
    for (index, file) in (example["files"]?.arrayValue ?? []).enumerated() {
      let numbers = file.integers
      candidates.append(
        RewriteCandidate(
          path: "\(index)", sizeBytes: numbers[1], recordCount: numbers[2],
          partition: [.int(Int32(numbers[0]))]))
    }
    for deletion in example["deletes"]?.arrayValue ?? [] {
      candidates[Int(deletion.integers[0])].deleteFileCount += 1
      candidates[Int(deletion.integers[0])].fileScopedDeletedRecordCount += deletion.integers[1]
    }
    return candidates
  }

  @Test func everyPlanEqualsTheReferences() throws {
    var planned = 0
    for example in try goldenCases("binpack_plans.json") where example["error"] == nil {
      let name = example["case"]?.int64Value ?? -1
      let options = try RewriteDataFilesOptions(example["options"]?.texts ?? [:])
      let plan = try BinPackPlanner(options).plan(candidates(example))
      let ours = plan.groups.map { group in
        Group(
          files: group.files.compactMap { Int64($0.path) }, outputs: group.expectedOutputFiles,
          split: group.inputSplitSizeBytes, largest: group.maxOutputFileSizeBytes)
      }
      let expected = example["main_groups_by_port"] ?? example["groups"]
      let theirs = (expected?.arrayValue ?? []).map { group in
        Group(
          files: group["files"]?.integers ?? [],
          outputs: group["expected_output_files"]?.int64Value ?? -1,
          split: group["input_split_size"]?.int64Value ?? -1,
          largest: group["max_output_file_size"]?.int64Value ?? -1)
      }
      // Between partitions, the reference's order is a hash's.
      #expect(Set(ours) == Set(theirs) && ours.count == theirs.count, "case \(name)")
      if options.jobOrder == .none {
        for partition in Set(plan.groups.map(\.partition)) {
          let inOrder = plan.groups.filter { $0.partition == partition }.map {
            $0.files.compactMap { Int64($0.path) }
          }
          #expect(theirs.map(\.files).filter(inOrder.contains) == inOrder, "case \(name)")
        }
      }
      planned += 1
    }
    #expect(planned == 30)
  }

  @Test func optionsAreRefusedInTheReferencesWords() throws {
    var refused = 0
    for example in try goldenCases("binpack_plans.json") {
      guard let message = example["error"]?.stringValue else { continue }
      let name = example["case"]?.int64Value ?? -1
      let error = #expect(throws: IcebergError.self, "case \(name)") {
        _ = try RewriteDataFilesOptions(example["options"]?.texts ?? [:])
      }
      #expect(error?.message == message, "case \(name)")
      refused += 1
    }
    #expect(refused == 5)
  }

  @Test func unknownOptionsAreRefused() {
    let error = #expect(throws: IcebergError.self) {
      _ = try RewriteDataFilesOptions(["traget-file-size-bytes": "5"])
    }
    #expect(error?.message.contains("[traget-file-size-bytes]") == true)
  }

  @Test func aValueThatIsNoNumberIsRefused() {
    #expect(throws: IcebergError.self) { _ = try RewriteDataFilesOptions(["min-input-files": "x"]) }
    #expect(throws: IcebergError.self) { _ = try RewriteDataFilesOptions(["rewrite-all": "yes"]) }
    #expect(throws: IcebergError.self) {
      _ = try RewriteDataFilesOptions(["delete-ratio-threshold": "nan"])
    }
    #expect(throws: IcebergError.self) {
      _ = try RewriteDataFilesOptions(["rewrite-job-order": "biggest"])
    }
  }

  @Test func theDefaultsAreTheReferences() throws {
    let options = try RewriteDataFilesOptions([:])
    #expect(options.targetFileSizeBytes == 536_870_912)
    #expect(options.minFileSizeBytes == 402_653_184 && options.maxFileSizeBytes == 966_367_641)
    #expect(options.minInputFiles == 5 && options.maxFileGroupSizeBytes == 107_374_182_400)
    #expect(options == RewriteDataFilesOptions())
  }

  @Test func athenasPropertiesAreUnderstoodAndOptionsWin() throws {
    let properties = [
      "write_target_data_file_size_bytes": "1000", "optimize_rewrite_data_file_threshold": "3",
      "optimize_rewrite_delete_file_threshold": "2",
      "optimize_rewrite_min_data_file_size_bytes": "10",
      "optimize_rewrite_max_data_file_size_bytes": "5000",
    ]
    let options = try RewriteDataFilesOptions(["min-input-files": "7"], tableProperties: properties)
    #expect(options.targetFileSizeBytes == 1000 && options.minInputFiles == 7)
    #expect(options.deleteFileThreshold == 2)
    #expect(options.minFileSizeBytes == 10 && options.maxFileSizeBytes == 5000)
    let both = try RewriteDataFilesOptions(
      [:], tableProperties: properties.merging(["write.target-file-size-bytes": "2000"]) { $1 })
    #expect(both.targetFileSizeBytes == 2000)
  }

  private func smallFiles(_ count: Int) -> [RewriteCandidate] {
    (0..<count).map { RewriteCandidate(path: "\($0)", sizeBytes: 10, recordCount: 1) }
  }

  @Test func everyCandidateIsTakenOrSaysWhyNot() throws {
    var options = try RewriteDataFilesOptions(["target-file-size-bytes": "1000"])
    options.maxFilesToRewrite = 6
    let planner = try BinPackPlanner(options)
    var files = smallFiles(8)
    files.append(RewriteCandidate(path: "good", sizeBytes: 1000, recordCount: 1))
    files.append(
      RewriteCandidate(path: "lonely", sizeBytes: 10, recordCount: 1, partition: [.int(9)]))
    let plan = planner.plan(files)
    #expect(plan.fileCount == 6 && plan.moreRunsNeeded)
    #expect(plan.skipped.filter { $0.reason == .overLimit }.map(\.file.path) == ["6", "7"])
    #expect(plan.skipped.filter { $0.reason == .wellSized }.map(\.file.path) == ["good"])
    #expect(plan.skipped.filter { $0.reason == .tooFewInputFiles }.map(\.file.path) == ["lonely"])
    #expect(plan.fileCount + plan.skipped.count == plan.candidateCount)
  }

  @Test func filesOfAnotherSpecAreOneGroup() throws {
    let planner = try BinPackPlanner(RewriteDataFilesOptions())
    let files = (0..<6).map { index in
      RewriteCandidate(
        path: "\(index)", sizeBytes: 10, recordCount: 1, specID: 3,
        partition: [.int(Int32(index))])
    }
    #expect(planner.plan(files, outputSpecID: 4).groups.map(\.files.count) == [6])
    #expect(planner.plan(files, outputSpecID: 3).isEmpty)
  }

  @Test func sizesAtTheEndsOfTheIntegersDoNotTrap() throws {
    let planner = try BinPackPlanner(RewriteDataFilesOptions())
    let files = (0..<3).map {
      RewriteCandidate(path: "\($0)", sizeBytes: .max, recordCount: .max, deleteFileCount: .max)
    }
    let plan = planner.plan(files)
    #expect(plan.groups.count == 3 && plan.sizeBytes == .max)
  }

  @Test func anEmptyTableNeedsNothing() throws {
    let plan = try BinPackPlanner(RewriteDataFilesOptions()).plan([])
    #expect(plan.isEmpty && plan.skipped.isEmpty && !plan.moreRunsNeeded)
  }

  @Test func thePlanPrintsItself() throws {
    let plan = try BinPackPlanner(RewriteDataFilesOptions()).plan(smallFiles(5))
    #expect(plan.json["rewritten-files"] == 5)
    #expect(plan.json["groups"]?.arrayValue?.first?["paths"]?.arrayValue?.count == 5)
    #expect(plan.description.contains("5 to rewrite in 1 groups"))
  }
}
