# The two commands to know: `make demo` and `make test`. The rest is for those who work on fstore.
SHELL := /bin/bash

# Where bootstrap puts Arrow when it is not root; harmless when it is not there.
PREFIX ?= $(if $(filter 0,$(shell id -u)),/usr/local,$(HOME)/.local/fstore)
export PKG_CONFIG_PATH := $(PREFIX)/lib/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))
export LD_LIBRARY_PATH := $(PREFIX)/lib$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

SWIFT_FLAGS := --explicit-target-dependency-import-check error

.PHONY: setup build release test demo bench bench-online bench-pit bench-iceberg bench-maintenance nightly nightly-log \
  nightly-online nightly-iceberg nightly-tables nightly-training-sets nightly-concurrency nightly-maintenance nightly-kills nightly-soak nightly-simulation \
  nightly-simulation-store mutants lint format clean
.PHONY: fuzz properties sanitize-address sanitize-thread nightly-fuzz nightly-properties-1 \
  nightly-properties-2 nightly-sanitize nightly-power

setup:
	scripts/bootstrap

build: setup
	swift build $(SWIFT_FLAGS)

release: setup
	swift build -c release $(SWIFT_FLAGS)

test:
	scripts/bootstrap --peers
	swift build --build-tests $(SWIFT_FLAGS)
	swift test --skip-build
	swift build -c release --product simulate $(SWIFT_FLAGS)
	.build/release/simulate --length 3 --outcomes 8 --at-least 100000
	.build/release/simulate --store --length 3 --outcomes 2 --at-least 50000
	.build/release/simulate --store --faults --length 1 --at-least 5000
	.build/release/simulate --damage --at-least 30000
	swift build -c release --product allocations $(SWIFT_FLAGS)
	rm -rf .build/allocations && .build/release/allocations .build/allocations --check
	swift build -c release --product simulate-tables $(SWIFT_FLAGS)
	SWIFT_DETERMINISTIC_HASHING=1 .build/release/simulate-tables --histories 20000
	scripts/properties 2000000
	scripts/fuzz --executions 1000000 --seconds 20

# Hostile bytes, and operations that the fuzzer thinks of: a million executions of each target, or what
# fits in five minutes of it. Two targets run at a time. `make test` gives each 20 seconds.
fuzz: setup
	scripts/fuzz --executions 1000000 --seconds 300

# Two million random cases of what codecs, framing and index promise.
properties: setup
	scripts/properties 2000000

# What threads share, under AddressSanitizer and ThreadSanitizer, in build directories of their own.
sanitize-address: setup
	scripts/sanitize address
sanitize-thread: setup
	scripts/sanitize thread

# What takes longer than `make test` may: parts of at most half an hour, each of which can be run alone.
# docs/testing.md says what each proves.
nightly: nightly-simulation nightly-simulation-store nightly-log nightly-online nightly-iceberg nightly-tables \
  nightly-training-sets nightly-concurrency nightly-maintenance nightly-kills nightly-power nightly-fuzz nightly-properties-1 \
  nightly-properties-2 nightly-sanitize nightly-soak mutants

# Five minutes of each target.
nightly-fuzz: setup
	scripts/fuzz --seconds 300

# A hundred million cases each, of new seeds.
nightly-properties-1 nightly-properties-2: setup
	scripts/properties 100000000 random

nightly-sanitize: sanitize-address sanitize-thread

NIGHTLY := scripts/bootstrap --peers && swift build -c release --build-tests $(SWIFT_FLAGS) && \
  swift test -c release --skip-build

# Every sequence of four operations on the log with a crash before each call, 30 million states in all:
# four parts, `make nightly-simulation-1` to `-4`.
nightly-simulation: nightly-simulation-1 nightly-simulation-2 nightly-simulation-3 nightly-simulation-4
nightly-simulation-%: setup
	swift build -c release --product simulate $(SWIFT_FLAGS)
	.build/release/simulate --length 4 --outcomes 240 --part $*/4

# The same for the online store: 2.5 million states in two parts, and every call of sequences of two that fails.
nightly-simulation-store: nightly-simulation-store-1 nightly-simulation-store-2 nightly-simulation-store-faults
nightly-simulation-store-faults: setup
	swift build -c release --product simulate $(SWIFT_FLAGS)
	.build/release/simulate --store --faults --length 2 --at-least 50000
nightly-simulation-store-%: setup
	swift build -c release --product simulate $(SWIFT_FLAGS)
	.build/release/simulate --store --length 4 --outcomes 8 --part $*/2 --at-least 1000000

# Every call of the log fails; every byte is damaged.
nightly-log:
	FSTORE_SIMULATION_SEEDS=1000 FSTORE_FAULT_SEEDS=20 FSTORE_DAMAGE_STEP=1 FSTORE_VERIFY_SECONDS=60 \
	  bash -c '$(NIGHTLY) --filter "WriteAheadLogTests|TableDamageTests|DefinitionsTests|VerifyBesideWriter"'

# Random histories of the online store beside a model, crashes and failures in every call of some; the
# failures of new seeds, printed here.
nightly-online:
	seed=$$RANDOM; echo "FSTORE_FAULT_SEED=$$seed"; FSTORE_FAULT_SEED=$$seed FSTORE_FAULT_SEEDS=60 FSTORE_FAULT_STEP=1 \
	  FSTORE_MODEL_SEEDS=5000 FSTORE_CRASH_SEEDS=100 bash -c '$(NIGHTLY) --filter OnlineStoreTests'
	FSTORE_AGREEMENT_SEEDS=3000 bash -c '$(NIGHTLY) --filter AgreementTests'

# Random histories of writers on one table, with crashes, lost answers and clocks that jump.
nightly-iceberg:
	FSTORE_COMMIT_SEEDS=3000 bash -c '$(NIGHTLY) --filter CommitSimulationTests'

# The same without Parquet, and with more who take part: a million histories in sixteen parts, `make nightly-tables-1`
# to `-16`, of seeds that `make test` does not have. Two cores run 60 in a second.
nightly-tables: nightly-tables-1 nightly-tables-2 nightly-tables-3 nightly-tables-4 nightly-tables-5 nightly-tables-6 \
  nightly-tables-7 nightly-tables-8 nightly-tables-9 nightly-tables-10 nightly-tables-11 nightly-tables-12 \
  nightly-tables-13 nightly-tables-14 nightly-tables-15 nightly-tables-16
nightly-tables-%: setup
	swift build -c release --product simulate-tables $(SWIFT_FLAGS)
	SWIFT_DETERMINISTIC_HASHING=1 .build/release/simulate-tables --first 1000000 --histories 1000000 --part $*/16

# Random point-in-time joins beside nested loops, and beside DuckDB's and Polars' as-of joins; features of all types
# in files of all shapes.
nightly-training-sets:
	FSTORE_JOIN_SEEDS=100000 FSTORE_TRAINING_SET_SEEDS=1000 FSTORE_FEATURE_SEEDS=1000 \
	  bash -c '$(NIGHTLY) --filter "RandomJoinTests|RandomTrainingSetTests|RandomFeatureTests|AsOfJoinTests"'

# Processes that work with one table, PyIceberg among them.
nightly-concurrency:
	FSTORE_CONCURRENT_OPERATIONS=60 bash -c '$(NIGHTLY) --filter ProcessConcurrencyTests'

# Eight processes at a time that write to a table, maintain it and are killed: 4,000 kills of new seeds, printed here.
nightly-maintenance:
	seed=$$RANDOM; echo "FSTORE_KILL_SEED=$$seed"; FSTORE_KILL_SEED=$$seed FSTORE_MAINTENANCE_KILL_ROUNDS=500 \
	  FSTORE_MEMORY_FILES=300 bash -c '$(NIGHTLY) --filter "MaintenanceKillTests|RewriteMemoryTests"'

# kill -9 of processes that work with a store: 20,000 in five parts, `make nightly-kills-1` to `-5`, of
# seeds of their own.
nightly-kills: nightly-kills-1 nightly-kills-2 nightly-kills-3 nightly-kills-4 nightly-kills-5
nightly-kills-%:
	FSTORE_KILL_ROUNDS=2000 FSTORE_KILL_SEED=$*0000 \
	  bash -c '$(NIGHTLY) --filter "nothingAcknowledgedIsLostOrDoubledByKills|everyKeyAnswersAsAcknowledgedAfterKills"'

# Power cuts of the disk below, where loop mounts are allowed: 5,000 in two parts, half of them of ext4 and
# half of XFS.
nightly-power: nightly-power-1 nightly-power-2
nightly-power-%:
	FSTORE_CUT_ROUNDS=625 FSTORE_KILL_SEED=$*0000 bash -c '$(NIGHTLY) --filter PowerCuts'

# Half an hour of mixed load with cleaning: memory and disk must come to a plateau.
nightly-soak:
	FSTORE_SOAK_SECONDS=1700 bash -c '$(NIGHTLY) --filter SoakTests'

# Plants bugs in a copy of the sources, one at a time; each must be found by the test that it names.
mutants:
	scripts/mutants

demo:
	scripts/bootstrap --peers
	swift build -c release --product fstore $(SWIFT_FLAGS)
	scripts/demo

bench: release
	Benchmarks/run

# Gets and puts of the online store beside LMDB, RocksDB, SQLite and Redis, which it installs.
bench-online: setup
	Benchmarks/bootstrap --online
	swift build -c release --package-path Benchmarks --product online-benchmark $(SWIFT_FLAGS)
	Benchmarks/.build/release/online-benchmark --directory Benchmarks/.build/online-benchmark $(BENCH_FLAGS)

# Training sets beside DuckDB, Polars and Feast; BENCH_FLAGS="--scale 1" for 20 million rows, "--cases A8 growth" for
# less, "--without-feast".
bench-pit: release
	Benchmarks/pit/run $(BENCH_FLAGS)

# Compaction of 20,000 small files beside Polars, DuckDB and PyIceberg; BENCH_FLAGS="--files 100000 --rows 20".
bench-maintenance: setup
	swift build -c release --package-path Benchmarks --product maintenance-benchmark $(SWIFT_FLAGS)
	Benchmarks/maintenance/run $(BENCH_FLAGS)
	swift build -c release --package-path Benchmarks --product latest-benchmark $(SWIFT_FLAGS)
	swift build -c release --package-path Benchmarks --product fstore $(SWIFT_FLAGS)
	.venv-bench/bin/python Benchmarks/maintenance/latest.py $(BENCH_FLAGS)

# Commits, appends, plans and scans of the Iceberg library beside PyIceberg and Arrow's Parquet reader;
# BENCH_FLAGS="--parts commits --commits 200" for less.
bench-iceberg: setup
	swift build -c release --package-path Benchmarks --product iceberg-benchmark $(SWIFT_FLAGS)
	Benchmarks/iceberg/run $(BENCH_FLAGS)

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Benchmarks

format:
	swift format --in-place --recursive --parallel Package.swift Sources Tests Benchmarks

clean:
	rm -rf .build demo
