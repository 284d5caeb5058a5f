"""Compaction of a table of small files, ours and peers', and a query before and after it.

  run.py [--files N] [--rows N] [--runs N] [--work DIRECTORY] [--json FILE] [--without-pyiceberg]

The table is fstore's: Parquet files as its writer makes them, in one commit. fstore plans, rewrites and commits; Polars and DuckDB
only copy the same files' rows into one file, with the same compression; PyIceberg reads the table and overwrites it, in a catalog
of its own. Every figure is of a whole process: wall time, processor time, peak memory; contenders take turns and medians are
compared. The rows after compaction are compared with those before.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "Benchmarks/.build/release/maintenance-benchmark"
PEER = Path(__file__).with_name("peer.py")


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
        figure, output = run(OURS, "optimize", table.folder)
        figures.setdefault("fstore", []).append(figure)
        result = json.loads(output)
        for name in ("polars", "duckdb"):
            output = table.folder / f"{name}.parquet"
            figures.setdefault(name, []).append(peer(f"compact-{name}", table.list, output)[0])
            output.unlink()
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


def query(table, after, options):
    figures, hashes = {}, set()
    for when, files in (("before", table.list), ("after", after)):
        answers = set()
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
    options = parser.parse_args()
    table = Table(options.work.resolve(), options.files, options.rows)
    table.clean()
    compacted, result, after = compaction(table, options)
    queries = query(table, after, options)
    size = f"{options.files}x{options.rows}"
    print(f"{size}: {result['files-before']} files of {result['bytes-before']} bytes became {result['files-after']} "
          f"of {result['bytes-after']} ({result['bytes-before'] / result['bytes-after']:.1f} times smaller)")
    mine = compacted["fstore"]
    print(f"compaction: fstore {mine['wall']:.2f} s (planning {result['planning']:.2f}), {mine['cpu']:.2f} CPU-s, "
          f"{mine['memory']:.0f} MiB")
    for name, theirs in compacted.items():
        if name == "fstore":
            continue
        for key, unit in (("wall", "s"), ("cpu", "CPU-s"), ("memory", "MiB")):
            print(f"ratio compaction-{size}-{name}-{key} {theirs[key] / mine[key]:.2f} "
                  f"(ours {mine[key]:.2f} {unit}, {name} {theirs[key]:.2f} {unit})")
    for name in dict.fromkeys(name for name, _ in queries):
        before, later = queries[name, "before"], queries[name, "after"]
        print(f"query {size}-{name} {before['wall'] / later['wall']:.1f} times faster after compaction "
              f"({before['wall']:.2f} s, then {later['wall']:.2f} s)")
    if options.json:
        options.json.write_text(json.dumps(
            {"compaction": compacted, "result": result,
             "queries": {f"{name} {when}": figure for (name, when), figure in queries.items()}}, indent=1))


if __name__ == "__main__":
    main()
