"""Compaction of a table of small files, ours and peers', and a query before and after it.

  run.py [--files N] [--rows N] [--runs N] [--work DIRECTORY] [--json FILE] [--without-pyiceberg] [--without-spark]
         [--own-latest COMMAND] [--expiry FILES,SNAPSHOTS] [--simulate FILES]

The table is fstore's: Parquet files as its writer makes them, in one commit. fstore plans, rewrites and commits; Polars and DuckDB
only copy the same files' rows into one file, with the same compression, and Arrow's own reader and writer too where the files
are large; there fstore also takes its turn with `rewrite-all`, which has everything decoded. PyIceberg reads the table and
overwrites it, in a catalog of its own. Spark, like Polars, writes one bare file; it and PyIceberg run once. Every figure is of a whole process: wall time, processor time, peak memory; contenders take turns and medians are
compared. The rows after compaction are compared with those before. Compaction that sorts, by record and time, is compared with Polars'
and DuckDB's sort of the same files into one. fstore compacts within 256 MiB.

--expiry FILES,SNAPSHOTS measures something else: a table of so many files (of one byte) appended in so many snapshots and
then compacted, of which all snapshots but the last are expired. It has no peer here.

--simulate FILES estimates what compaction and vacuum of a table of so many files take that is too large to make here. Its
metadata are made, and the first of the plans of its compaction, and its commit; --files of --rows rows are compacted, and the
history of as many is expired. What is printed is that, times what is left of the table; the compaction's own
commit is in the time for reading and writing, too.

COMMAND is fstore's own query for the newest live row of each record: called with the table's folder, it prints how many there
are, first. Without it only the peers' queries are compared, before and after.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "Benchmarks/.build/release/maintenance-benchmark"
PEER = Path(__file__).with_name("peer.py")
SPARK = ROOT / ".venv-spark/bin"
MEMORY = f"max-memory-bytes={256 << 20}"
SORTED = "sort-order=record_id, event_time"


def run(*arguments):
    """Runs a process; wall and processor seconds, peak memory in MiB, and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.PIPE)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {' '.join(str(a) for a in arguments)}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}, output.strip()


def spark(mode, *arguments):
    """By spark-submit, whose Java process waits for Python's, so that the figures are of both."""
    return run("env", f"PATH={SPARK}:{os.environ['PATH']}", "PYSPARK_PYTHON=" + str(SPARK / "python"),
               SPARK / "spark-submit", "--driver-memory", "4g", "--conf", "spark.log.level=ERROR", PEER, mode, *arguments)


def peer(mode, *arguments):
    return run(sys.executable, PEER, mode, *arguments)


class Table:
    def __init__(self, work, files, rows):
        self.folder = work / f"{files}x{rows}"
        self.list = self.folder / "files.txt"
        if not (self.folder / "complete").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            say(f"writing {files} files of {rows} rows")
            run(OURS, "prepare", self.folder, files, rows)
            data = sorted(str(path) for path in self.folder.glob("warehouse/**/data/*.parquet"))
            self.list.write_text("\n".join(data))
            (self.folder / "complete").write_text("")
        self.files = self.list.read_text().split()
        self.bytes = sum(os.path.getsize(path) for path in self.files)

    def catalog_copy(self):
        copy = self.folder / "pyiceberg.db"
        shutil.copy(self.folder / "catalog.db", copy)
        return copy

    def clean(self):
        known = set(self.files)
        for path in self.folder.glob("warehouse/**/data/*.parquet"):
            if str(path) not in known:
                path.unlink()


def compaction(table, options):
    figures, result = {}, None
    after = table.folder / "after.txt"
    for round in range(options.runs):
        run(OURS, "restore", table.folder)
        figure, output = run(OURS, "optimize", table.folder, MEMORY)
        figures.setdefault("fstore", []).append(figure)
        result = json.loads(output)
        peers = ["polars", "duckdb"]
        if result["files-copied"] > 0:
            run(OURS, "restore", table.folder)
            figures.setdefault("fstore-decoding", []).append(
                run(OURS, "optimize", table.folder, MEMORY, "rewrite-all=true")[0])
            peers.append("arrow")
        for name in peers:
            output = table.folder / f"{name}.parquet"
            figures.setdefault(name, []).append(peer(f"compact-{name}", table.list, output)[0])
            output.unlink()
    if not options.without_spark:
        output = table.folder / "spark"
        shutil.rmtree(output, ignore_errors=True)
        figures["spark"] = [spark("compact-spark", table.list, output)[0]]
        if len(list(output.glob("*.parquet"))) != 1:
            sys.exit("Spark did not write one file")
        shutil.rmtree(output)
    if not options.without_pyiceberg:
        run(OURS, "restore", table.folder)
        figures["pyiceberg"] = [peer("compact-pyiceberg", table.catalog_copy())[0]]
        run(OURS, "optimize", table.folder)
    after.write_text("\n".join(path.removeprefix("file://") for path in result["paths"]))
    before_digest, after_digest = peer("digest", table.list)[1], peer("digest", after)[1]
    if before_digest != after_digest:
        sys.exit(f"the rows are not the same: {before_digest}, then {after_digest}")
    say(f"{len(table.files)} files: the rows are the same before and after ({before_digest})")
    return {name: median(runs) for name, runs in figures.items()}, result, after


def sorting(table, options):
    """Compaction that sorts; afterwards the table is compacted as before."""
    figures = {}
    for _ in range(options.runs):
        run(OURS, "restore", table.folder)
        figure, output = run(OURS, "optimize", table.folder, MEMORY, SORTED)
        figures.setdefault("fstore", []).append(figure)
        for name in ("polars", "duckdb"):
            target = table.folder / f"{name}.parquet"
            figures.setdefault(name, []).append(peer(f"sort-{name}", table.list, target)[0])
            target.unlink()
    files = table.folder / "sorted.txt"
    files.write_text("\n".join(path.removeprefix("file://") for path in json.loads(output)["paths"]))
    if peer("digest", files)[1] != peer("digest", table.list)[1]:
        sys.exit("sorting changed the rows")
    if peer("is-sorted", files)[1] != "True":
        sys.exit("the rows are not sorted")
    return {name: median(runs) for name, runs in figures.items()}


def query(table, after, options):
    figures, hashes = {}, set()
    for when, files in (("before", table.list), ("after", after)):
        answers = set()
        if options.own_latest:
            run(OURS, *(("restore", table.folder) if when == "before" else ("optimize", table.folder, MEMORY)))
            runs = []
            for _ in range(options.runs):
                figure, answer = run(*shlex.split(options.own_latest), table.folder)
                runs.append(figure)
                answers.add(answer.split()[0])
            figures["fstore", when] = median(runs)
        for name in ("duckdb", "polars"):
            runs = []
            for _ in range(options.runs):
                figure, answer = peer(f"latest-{name}", files)
                runs.append(figure)
                answers.add(answer.split()[0])
                if name == "duckdb":
                    hashes.add(answer)
            figures[name, when] = median(runs)
        if not options.without_pyiceberg:
            if when == "before":
                run(OURS, "restore", table.folder)
            figure, answer = peer("latest-pyiceberg", table.catalog_copy())
            figures["pyiceberg", when] = figure
            answers.add(answer)
            if when == "before":
                run(OURS, "optimize", table.folder)
        if len(answers) != 1:
            sys.exit(f"contenders disagree {when} compaction: {answers}")
    if len(hashes) != 1:
        sys.exit(f"the answer is not the same before and after compaction: {hashes}")
    return figures


def expiry(work, files, snapshots):
    """The end of a long history: all snapshots but the last, which is of a compaction, and the files of the others."""
    folder = work.resolve() / "history"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"writing {files} files in {snapshots} snapshots")
    written = json.loads(run(OURS, "history", folder, files, snapshots)[1])
    figure, output = run(OURS, "vacuum", folder)
    result = json.loads(output)
    left = sum(1 for _ in folder.glob("warehouse/**/data/*/*.parquet"))
    if (result["expired-snapshots"], left) != (written["snapshots"] - 1, -(-files // 1000)):
        sys.exit(f"the vacuum left {left} files and expired {result['expired-snapshots']} snapshots")
    print(f"expiry {files} files, {snapshots} snapshots: loaded in {result['loading']:.2f} s, planned in {result['planning']:.2f} s "
          f"({result['planning-cpu']:.2f} CPU-s, {result['planning-mib']:.0f} MiB), {result['deleted-files']} files deleted in "
          f"{result['executing']:.2f} s; all of it {figure['cpu']:.2f} CPU-s, {figure['memory']:.0f} MiB")
    shutil.rmtree(folder)
    return result


def simulation(table, files, options):
    """What a table of so many files costs, from its first plan and a real table's compaction and expiry."""
    folder = options.work.resolve() / "simulation"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"writing the metadata of {files} files")
    plan = json.loads(run(OURS, "simulate", folder, files)[1])
    plan |= json.loads(run(OURS, "simulate-compaction", folder)[1])
    shutil.rmtree(folder)
    run(OURS, "restore", table.folder)
    figure, output = run(OURS, "optimize", table.folder, MEMORY)
    real = json.loads(output)
    if real["files-before"] != len(table.files):
        sys.exit(f"{real['files-before']} files were rewritten of {len(table.files)}")
    vacuum = expiry(options.work, len(table.files), max(2, len(table.files) // 100))
    rounds = -(-files // plan["planned-files"])
    share = files / len(table.files)
    steps = {
        "planning": plan["planning"] * rounds,
        "reading and writing": (figure["wall"] - real["planning"]) * share,
        "committing": plan["committing"] * rounds,
        "planning the vacuum": vacuum["planning"] * share,
        "deleting files": vacuum["executing"] * share,
    }
    print(f"simulation {files} files in {plan['manifests']} manifests: the first of {rounds} plans, of {plan['planned-files']} files, "
          f"took {plan['planning']:.2f} s, {plan['planning-cpu']:.2f} CPU-s and {plan['planning-mib']:.0f} MiB; its commit "
          f"{plan['committing']:.2f} s, {plan['committing-cpu']:.2f} CPU-s and {plan['peak-mib']:.0f} MiB")
    print(f"compaction of {len(table.files)} files took {figure['wall']:.2f} s, {figure['cpu']:.2f} CPU-s and {figure['memory']:.0f} MiB; "
          f"{real['bytes-before']} bytes became {real['bytes-after']}")
    for name, seconds in steps.items():
        print(f"estimate {name}: {seconds / 3600:.2f} h")
    print(f"estimate in all: {sum(steps.values()) / 3600:.2f} h; {real['bytes-before'] * share / 2**30:.1f} GiB become about "
          f"{real['bytes-after'] * share / 2**30:.1f}")
    return {"plan": plan, "compaction": real, "vacuum": vacuum, "hours": {name: s / 3600 for name, s in steps.items()}}


def median(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / "Benchmarks/.build/maintenance-benchmark")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--without-pyiceberg", action="store_true")
    parser.add_argument("--without-spark", action="store_true")
    parser.add_argument("--own-latest")
    parser.add_argument("--expiry", metavar="FILES,SNAPSHOTS", help="only the expiry of a long history")
    parser.add_argument("--simulate", metavar="FILES", type=int, help="only an estimate for so many files")
    options = parser.parse_args()
    if options.expiry:
        result = expiry(options.work, *(int(number) for number in options.expiry.split(",")))
        if options.json:
            options.json.write_text(json.dumps({"expiry": result}, indent=1))
        return
    table = Table(options.work.resolve(), options.files, options.rows)
    table.clean()
    if options.simulate:
        result = simulation(table, options.simulate, options)
        if options.json:
            options.json.write_text(json.dumps({"simulation": result}, indent=1))
        return
    compacted, result, after = compaction(table, options)
    queries = query(table, after, options)
    sorted_figures = sorting(table, options)
    size = f"{options.files}x{options.rows}"
    print(f"{size}: {result['files-before']} files of {result['bytes-before']} bytes became {result['files-after']} "
          f"of {result['bytes-after']} ({result['bytes-before'] / result['bytes-after']:.1f} times smaller)")
    for name, figures in (("compaction", compacted), ("sorting", sorted_figures)):
        mine = figures["fstore"]
        planning = f" (planning {result['planning']:.2f})" if name == "compaction" else ""
        print(f"{name}: fstore {mine['wall']:.2f} s{planning}, {mine['cpu']:.2f} CPU-s, {mine['memory']:.0f} MiB")
        ratios(f"{name}-{size}", figures)
    for name in dict.fromkeys(name for name, _ in queries):
        before, later = queries[name, "before"], queries[name, "after"]
        print(f"ratio query-{size}-{name} {before['wall'] / later['wall']:.1f} "
              f"(after compaction {later['wall']:.2f} s, before {before['wall']:.2f} s)")
    for when in ("before", "after"):
        if options.own_latest:
            ratios(f"latest-{when}-{size}", {name: figure for (name, at), figure in queries.items() if at == when})
    if options.json:
        options.json.write_text(json.dumps(
            {"compaction": compacted, "sorting": sorted_figures, "result": result,
             "queries": {f"{name} {when}": figure for (name, when), figure in queries.items()}}, indent=1))


def ratios(case, figures):
    """One line a peer and figure: above 1 where fstore needs less."""
    mine = figures["fstore"]
    for name, theirs in figures.items():
        if name == "fstore":
            continue
        for key, unit in (("wall", "s"), ("cpu", "CPU-s"), ("memory", "MiB")):
            print(f"ratio {case}-{name}-{key} {theirs[key] / mine[key]:.2f} "
                  f"(ours {mine[key]:.2f} {unit}, {name} {theirs[key]:.2f} {unit})")


if __name__ == "__main__":
    main()
