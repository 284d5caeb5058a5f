import Glibc

// One program for all targets: `FUZZ_TARGET=log fuzz [options, corpus or files of libFuzzer]`.

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What a target does with an input; it ends the process when a promise is broken.
typealias FuzzTarget = ([UInt8]) -> Void

let targets: [String: FuzzTarget] = [
  "log": fuzzLog,
  "repair": fuzzRepair,
  "checkpoint": fuzzCheckpoint,
  "rows": fuzzRows,
  "operations": fuzzOperations,
  "avro": fuzzAvro,
  "json": fuzzJSON,
  "metadata": fuzzMetadata,
  "manifest": fuzzManifest,
  "puffin": fuzzPuffin,
  "parquet": fuzzParquet,
  "filter": fuzzFilter,
]

nonisolated(unsafe) var chosen: FuzzTarget = { _ in }

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  chosen(Array(UnsafeBufferPointer(start: data, count: count)))
  return 0
}

if CommandLine.arguments.count == 4, CommandLine.arguments[1] == "--seeds" {
  try Seeds.write(CommandLine.arguments[2], to: CommandLine.arguments[3])
  exit(0)
}
// Not an argument, for the fuzzer starts itself with its own.
guard let name = getenv("FUZZ_TARGET"), let target = targets[String(cString: name)] else {
  print("FUZZ_TARGET must be one of \(targets.keys.sorted().joined(separator: ", "))")
  exit(64)
}
chosen = target
var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(runDriver(&count, &arguments, testOneInput))
