/// Which manifests a commit merges: a pure function of their sizes, as the reference implementation
/// has it.
///
/// Manifests are packed from the oldest end, so that the newest bin is the one that is not full:
/// small commits pile up there until there are `minimumCount` of them, and full bins are never
/// touched again.
struct ManifestMergePlan {
  /// Bytes that a merged manifest aims at: `commit.manifest.target-size-bytes`.
  var targetSizeBytes: Int64 = 8 << 20
  /// How many manifests the newest bin needs to be merged: `commit.manifest.min-count-to-merge`.
  var minimumCount = 100

  init(properties: [String: String]) {
    if let text = properties["commit.manifest.target-size-bytes"], let size = Int64(text), size > 0
    {
      targetSizeBytes = size
    }
    if let text = properties["commit.manifest.min-count-to-merge"], let count = Int(text), count > 0
    {
      minimumCount = count
    }
  }

  /// Bins of manifests in their order, newest first; a bin of one stays as it is.
  ///
  /// - Parameter manifests: newest first, all of one partition spec and content.
  func bins(_ manifests: [ManifestFile]) -> [[ManifestFile]] {
    var bins: [[ManifestFile]] = []
    var bin: [ManifestFile] = []
    var size: Int64 = 0
    for manifest in manifests.reversed() {
      let (sum, overflow) = size.addingReportingOverflow(max(manifest.length, 0))
      if !bin.isEmpty, overflow || sum > targetSizeBytes {
        bins.append(bin.reversed())
        bin = []
        size = max(manifest.length, 0)
      } else {
        size = sum
      }
      bin.append(manifest)
    }
    if !bin.isEmpty { bins.append(bin.reversed()) }
    return bins.reversed()
  }

  /// Whether a bin is to be merged into one manifest.
  func merges(_ bin: [ManifestFile], holdsNewest: Bool) -> Bool {
    bin.count > 1 && (!holdsNewest || bin.count >= minimumCount)
  }
}
