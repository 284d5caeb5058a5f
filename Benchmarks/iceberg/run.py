"""The Iceberg library beside PyIceberg, and its scans beside Arrow's own Parquet reader.

  run.py [--parts commits,append,scan,plan,many,simulate] [--commits N] [--peer-commits N] [--rows N] [--files A,B]
         [--simulated N] [--runs N] [--work DIRECTORY] [--json FILE]

Every figure is of a process of its own; contenders take turns, and medians are compared. Peak memory is the whole process's.

commits   appends of 1,000 rows, a commit each; ours synced, beside what a sync of the disk takes, PyIceberg's not
append    one append: ours reads the rows from an Arrow file as it writes, PyIceberg has them in memory before the clock starts;
          and beside PyIceberg with its reading of that file
scan      all rows of what append wrote, by ours and by pyarrow's ParquetFile.iter_batches, with one thread and with two
plan      all files of a table, and those of one day; ours wrote the metadata for both
many      a million files under a filter that keeps one day
simulate  fifty million files, whose metadata is generated: 16 manifests that have many names
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
OURS = ROOT / "Benchmarks/.build/release/iceberg-benchmark"
PEER = Path(__file__).with_name("peer.py")
PARTS = ["commits", "append", "scan", "plan", "many", "simulate"]


def run(*arguments):
    """Runs a process; what it printed, and its wall and processor seconds and peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.PIPE)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(str(a) for a in arguments)}")
    return json.loads(output) | {"wall": time.perf_counter() - start, "memory": usage.ru_maxrss / 1024}


def peer(mode, *arguments):
    return run(sys.executable, PEER, mode, *arguments)


def say(text):
    print(text, file=sys.stderr, flush=True)


def ratio(case, ours, name, theirs, unit, larger_is_better=False):
    value = ours / theirs if larger_is_better else theirs / ours
    print(f"ratio {case} {value:.2f} (ours {ours:.4g} {unit}, {name} {theirs:.4g} {unit})")


def limit(case, ours, bound, unit):
    print(f"limit {case} {bound / ours:.2f} (ours {ours:.4g} {unit}, limit {bound:.4g} {unit})")


def require(condition, text):
    if not condition:
        sys.exit(f"contenders disagree: {text}")


class Benchmark:
    def __init__(self, options):
        self.options = options
        self.work = options.work.resolve()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.results = {}
        self.folders = 0

    def folder(self):
        self.folders += 1
        folder = self.work / str(self.folders)
        folder.mkdir()
        return folder

    def rows(self):
        path = self.work / "rows.arrow"
        if not path.exists():
            say(f"generating {self.options.rows} rows")
            run(OURS, "rows", path, self.options.rows)
        return path

    def turns(self, contenders):
        """Figures by contender: the median of each number, over runs in which they take turns."""
        figures = {}
        for _ in range(self.options.runs):
            for name, measure in contenders.items():
                figures.setdefault(name, []).append(measure())
        return {name: median(runs) for name, runs in figures.items()}

    def commits(self):
        options = self.options
        say(f"{options.commits} commits, {options.peer_commits} of PyIceberg")
        ours = run(OURS, "commits", self.folder(), self.rows(), options.commits)
        theirs = peer("commits", self.folder(), self.rows(), options.peer_commits)
        self.results["commits"] = {"ours": ours, "pyiceberg": theirs}
        require(ours["snapshots"] == options.commits, "snapshots are missing")
        mine, other = ours["milliseconds"], theirs["milliseconds"]
        print(f"commits: a sync takes {ours['sync-milliseconds']:.3f} ms; processor time of a commit "
              f"{1000 * ours['cpu-seconds'] / len(mine):.2f} ms, PyIceberg {1000 * theirs['cpu-seconds'] / len(other):.2f} ms")
        for number in (10, 100, 880, 1000):
            if number > len(mine):
                continue
            figure = around(mine, number)
            print(f"commit {number}: {figure:.2f} ms"
                  + (f", PyIceberg {around(other, number):.2f} ms" if number <= len(other) else ""))
            if number <= len(other):
                ratio(f"commit-{number}", figure, "pyiceberg", around(other, number), "ms")
        print(f"flat commit-{len(mine)}-over-10 {around(mine, len(mine)) / around(mine, 10):.2f} "
              f"(slowest {max(mine):.2f} ms, first half {statistics.median(mine[:len(mine) // 2]):.2f} ms, "
              f"second half {statistics.median(mine[len(mine) // 2:]):.2f} ms)")
        shared = min(len(mine), len(other))
        ratio(f"first-{shared}-commits", sum(mine[:shared]) / 1000, "pyiceberg", sum(other[:shared]) / 1000, "s")

    def append(self):
        say("appending")

        def ours():
            folder = self.folder()
            figure = run(OURS, "append", folder, self.rows())
            self.appended = folder, figure["paths"]
            return figure

        def theirs():
            folder = self.folder()
            figure = peer("append", folder, self.rows())
            shutil.rmtree(folder)
            return figure

        figures = self.turns({"ours": ours, "pyiceberg": theirs})
        self.results["append"] = figures
        mine, other = figures["ours"], figures["pyiceberg"]
        require(mine["rows"] == other["rows"], "rows")
        ratio("append-rows", mine["rows"] / mine["seconds"] / 1e6, "pyiceberg", other["rows"] / other["seconds"] / 1e6,
              "M rows/s", larger_is_better=True)
        ratio("append-rows-with-reading", mine["rows"] / mine["seconds"] / 1e6, "pyiceberg",
              other["rows"] / (other["reading"] + other["seconds"]) / 1e6, "M rows/s", larger_is_better=True)
        ratio("append-cpu", mine["cpu-seconds"], "pyiceberg", other["cpu-seconds"], "CPU-s")
        ratio("append-memory", mine["memory"], "pyiceberg", other["memory"], "MiB")
        ratio("append-size", mine["bytes"] / 1e6, "pyiceberg", other["bytes"] / 1e6, "MB")

    def scan(self):
        if not hasattr(self, "appended"):
            folder = self.folder()
            self.appended = folder, run(OURS, "append", folder, self.rows())["paths"]
        folder, paths = self.appended
        files = folder / "files.txt"
        files.write_text("\n".join(path.removeprefix("file://") for path in paths))
        self.results["scan"] = {}
        for threads in (1, 2):
            say(f"scanning with {threads} threads")
            figures = self.turns({"ours": lambda: run(OURS, "scan", folder, threads),
                                  "arrow": lambda: peer("scan", files, threads)})
            self.results["scan"][threads] = figures
            mine, other = figures["ours"], figures["arrow"]
            require((mine["rows"], mine["nulls"]) == (other["rows"], other["nulls"]), "rows or nulls")
            ratio(f"scan-{threads}-threads", mine["seconds"], "arrow", other["seconds"], "s")
            ratio(f"scan-{threads}-threads-cpu", mine["cpu-seconds"], "arrow", other["cpu-seconds"], "CPU-s")
            ratio(f"scan-{threads}-threads-memory", mine["memory"], "arrow", other["memory"], "MiB")

    def table(self, files, partitions):
        folder = self.folder()
        say(f"describing {files} files")
        run(OURS, "files", folder, files, partitions)
        copy = folder / "pyiceberg.db"
        shutil.copy(folder / "catalog.db", copy)
        return folder, copy

    def plan(self):
        self.results["plan"] = {}
        for files in self.options.files:
            folder, copy = self.table(files, 50)
            for case, day in (("all", []), ("one-day", [7])):
                figures = self.turns({"ours": lambda: run(OURS, "plan", folder, 2, *day),
                                      "pyiceberg": lambda: peer("plan", copy, *day)})
                self.results["plan"][f"{files} {case}"] = figures
                mine, other = figures["ours"], figures["pyiceberg"]
                require((mine["files"], mine["rows"]) == (other["files"], other["rows"]), "files of a plan")
                name = f"plan-{files}-{case}"
                ratio(name, mine["seconds"], "pyiceberg", other["seconds"], "s")
                ratio(f"{name}-cpu", mine["cpu-seconds"], "pyiceberg", other["cpu-seconds"], "CPU-s")
                ratio(f"{name}-memory", mine["memory"], "pyiceberg", other["memory"], "MiB")

    def many(self):
        folder, _ = self.table(1_000_000, 1000)
        figures = self.turns({"day": lambda: run(OURS, "plan", folder, 2, 7), "all": lambda: run(OURS, "plan", folder, 2)})
        self.results["many"] = figures
        day, everything = figures["day"], figures["all"]
        limit("plan-1000000-one-day", day["seconds"] + day["loading"], 1.0, "s")
        print(f"plan 1000000: one day {day['seconds']:.3f} s, {day['files']:.0f} files of {day['manifests']:.0f} manifests, "
              f"{day['memory']:.0f} MiB; all {everything['seconds']:.2f} s, {everything['cpu-seconds']:.2f} CPU-s, "
              f"{everything['memory']:.0f} MiB")

    def simulate(self):
        say(f"planning {self.options.simulated} files")
        figure = run(OURS, "simulate", self.folder(), self.options.simulated)
        self.results["simulate"] = figure
        everything, day = figure["all"], figure["day"]
        print(f"simulated {everything['files']} files in {everything['manifests']} manifests: planned in "
              f"{everything['seconds']:.1f} s, {everything['cpu-seconds']:.1f} CPU-s, "
              f"{1e6 * everything['seconds'] / everything['files']:.2f} us a file; one day {day['seconds']:.3f} s, "
              f"{day['files']} files of {day['manifests']} manifests; peak memory {figure['memory']:.0f} MiB")


def around(times, number):
    """The median of the 20 commits up to this one."""
    return statistics.median(times[max(0, number - 20):number] if number > 20 else times[number // 2:number + number // 2])


def median(runs):
    return {key: statistics.median(run[key] for run in runs) for key, value in runs[0].items()
            if isinstance(value, (int, float))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS)
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--peer-commits", type=int, default=880)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--files", type=lambda text: [int(n) for n in text.split(",")], default=[20_000, 100_000])
    parser.add_argument("--simulated", type=int, default=50_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / "Benchmarks/.build/iceberg-benchmark")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    benchmark = Benchmark(options)
    for part in options.parts:
        getattr(benchmark, part)()
    if options.json:
        options.json.write_text(json.dumps(benchmark.results, indent=1))
    shutil.rmtree(benchmark.work, ignore_errors=True)


if __name__ == "__main__":
    main()
