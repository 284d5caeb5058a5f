"""Training sets, ours and peers', on the same Parquet files in one run.

  run.py [--scale S] [--runs N] [--cases CASE ...] [--work DIRECTORY] [--json FILE] [--ours-only] [--without-feast]

Scale 1 is 20 million feature rows (1 million entities, 10 features) and a spine of 2 million; the default is a
tenth of that. A8 has a million rows at any scale: there Feast takes part, whose answers are compared row by row, and
whose losses and errors are counted. The growth cases have tables of 20, 40 and 80 million rows times the scale, and
spines of 2, 4 and 8 million; one of them runs on one processor.

Every figure is of a whole process: wall time, processor time, peak memory; contenders take turns and medians are
compared. The outputs are compared value for value before any figure is printed.

The files are written by pyarrow with the options that fstore itself uses, and made an Iceberg table of fstore's by
PyIceberg (`add_files`): no contender has an index or an order that another does not.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FSTORE = ROOT / ".build/release/fstore"
PEER = Path(__file__).with_name("peer.py")
FEAST_PEER = Path(__file__).with_name("feast_peer.py")
GENERATE = Path(__file__).with_name("generate.py")
FEAST_PYTHON = ROOT / ".venv-feast/bin/python"
FEATURES = [f"f{n}" for n in range(1, 7)] + ["i1", "i2", "s1", "b1"]
FEW_FEATURES = ["f1", "f2", "i1", "s1"]
PEERS = {"duckdb": "DuckDB", "expert": "DuckDB pruned by hand", "polars": "Polars"}
FEAST = {"feast-duckdb": "Feast with DuckDB", "feast-default": "Feast as it comes"}
UNITS = {"wall": "s", "cpu": "CPU-s", "memory": "MiB"}


def run(arguments, data, figures=None, one_core=False):
    """Runs a process; wall and processor seconds, peak memory in MiB, and what it says itself in a file."""
    if one_core:
        arguments = ["taskset", "-c", min(os.sched_getaffinity(0)), *arguments]
    start = time.perf_counter()
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL, env=data.environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {' '.join(str(a) for a in arguments)}")
    measured = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}
    return measured | (json.loads(figures.read_text()) if figures else {})


class Data:
    """Tables, spines and the store over them; made once for a kind and scale and kept with the work directory."""

    def __init__(self, directory, kind, scale):
        names = {"layouts": f"scale-{scale}", "small": "small", "growth": f"growth-{scale}"}
        self.work = (directory / names[kind]).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.store = self.work / "store"
        # The tables' files are not fstore's own: it is told where they may lie.
        self.environment = dict(os.environ) | {"FSTORE_TABLE_FOLDERS": str(self.work / "tables")}
        marker = self.work / "complete"
        if not marker.exists():
            for name in ("store", "tables", "spines"):
                shutil.rmtree(self.work / name, ignore_errors=True)
            # In a process of its own: a child's peak memory is never below what its parent has when it forks.
            run([sys.executable, GENERATE, self.work, kind, scale], self)
            marker.write_text("")

    def definition(self, case):
        """The case as the peers read it: paths for names."""
        tables = [table | {"files": sorted(str(file) for file in (self.work / "tables" / table["name"]).iterdir())}
                  for table in case["tables"]]
        return case | {"spine": str(self.work / f"spines/{case['spine']}.parquet"), "tables": tables}


def table(name, ttl=None, features=FEATURES, group=None):
    return {"group": group or name, "name": name, "features": features, "ttl_days": ttl}


def case(spine, *tables, peers=("duckdb", "polars"), kind="layouts", **more):
    return {"spine": spine, "tables": list(tables), "peers": peers, "kind": kind, **more}


def cases(options):
    """name -> what to join, with which peers."""
    few = FEW_FEATURES
    selective = ("duckdb", "expert")
    feast = () if options.without_feast else tuple(FEAST)
    return {
        "A1-arrival": case("all", table("arrival")),
        "A2-sorted": case("all", table("sorted")),
        "A3-small-files": case("all", table("small")),
        "A4-text-keys": case("text", table("text")),
        "A5-three-tables": case("all", table("part1", 1, few), table("part2", 7, few), table("part3", 30, few)),
        "A6-recent": case("recent", table("arrival", 7, group="recent"), peers=selective),
        "A7-sparse": case("sparse", table("sorted"), peers=selective),
        "pages-sparse": case("sparse", table("pages"), peers=selective),
        "pages-all": case("all", table("pages")),
        "A8-small": case("small", table("small"), peers=("duckdb", "polars", *feast), kind="small"),
        "few-arrival": case("few", table("arrival"), peers=selective),
        "few-small-files": case("few", table("small"), peers=selective),
        "growth-one": growth(rows=1, labels=1),
        "growth-rows-twice": growth(rows=2, labels=1),
        "growth-rows-fourfold": growth(rows=4, labels=1),
        "growth-labels-twice": growth(rows=1, labels=2),
        "growth-labels-fourfold": growth(rows=1, labels=4),
        "growth-one-core": growth(rows=1, labels=1, one_core=True),
    }


def growth(rows, labels, one_core=False):
    return case(f"labels{labels}", table(f"rows{rows}"), peers=("duckdb",), kind="growth", one_core=one_core)


def ours(data, case, output):
    arguments = [FSTORE, "training-set", "--spine", case["spine"], "--time", "label_time", "--output", output,
                 "--overwrite", "--store", data.store]
    for number, table in enumerate(case["tables"]):
        for feature in table["features"]:
            name = feature if number == 0 else f"t{number + 1}_{feature}"
            arguments += ["--feature", f"{table['group']}:{feature}={name}"]
    return run(arguments, data, one_core=case.get("one_core"))


def theirs(data, case, peer, definition, output, figures):
    if peer in FEAST:
        engine = peer.removeprefix("feast-")
        return run([FEAST_PYTHON, "-W", "ignore", FEAST_PEER, engine, definition, output, figures], data, figures)
    mode, figures = "duckdb" if peer == "expert" else peer, figures if peer == "decode" else None
    return run([sys.executable, PEER, mode, definition, figures or output], data, figures, case.get("one_core"))


def compare(name, definition, outputs):
    """Stops if an answer is not ours; of Feast's, which need not be, says how they differ."""
    def peer(mode, *paths):
        done = subprocess.run([sys.executable, PEER, mode, definition, *paths], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{name}: {done.stderr}")
        return done.stdout.strip()
    alike = [path for contender, path in outputs.items() if contender not in FEAST]
    say(f"{name}: the outputs of {len(alike)} contenders are equal (digest {peer('check', *alike)})")
    return {contender: json.loads(peer("differences", outputs["fstore"], path))
            for contender, path in outputs.items() if contender in FEAST}


def measure(data, name, case, options):
    case = data.definition(case)
    outputs = {peer: data.work / f"{name}-{peer}.parquet" for peer in ("fstore", *case["peers"])}
    said = data.work / f"{name}-figures.json"
    definitions = {}
    for peer in (*case["peers"], "decode"):
        definitions[peer] = data.work / f"{name}-{peer}.json"
        definitions[peer].write_text(json.dumps(case | {"expert": peer == "expert"}))
    runs, differences = {}, {}
    for _ in range(options.runs):
        runs.setdefault("fstore", []).append(ours(data, case, outputs["fstore"]))
        if options.ours_only:
            continue
        for peer in (*case["peers"], "decode"):
            runs.setdefault(peer, []).append(
                theirs(data, case, peer, definitions[peer], outputs.get(peer), said))
    if not options.ours_only:
        differences = compare(name, definitions["decode"], outputs)
    for path in (*outputs.values(), *definitions.values(), said):
        path.unlink(missing_ok=True)
    figures = {peer: {key: statistics.median(run[key] for run in each) for key in each[0]}
               for peer, each in runs.items()}
    for peer, counts in differences.items():
        figures[peer]["differences"] = counts
    return figures


def report(name, figures):
    mine = figures["fstore"]
    print(f"{name}: fstore {mine['wall']:.2f} s, {mine['cpu']:.2f} CPU-s, {mine['memory']:.0f} MiB")
    for peer, label in (PEERS | FEAST).items():
        if peer not in figures:
            continue
        theirs = figures[peer]
        for key, unit in UNITS.items():
            ratio(f"{name}-{peer}-{key}", mine[key], label, theirs[key], unit)
        if peer in FEAST:
            report_feast(f"{name}-{peer}", label, mine, theirs)
    if "decode" in figures:
        decode = figures["decode"]
        limit(f"{name}-decode", mine["wall"], "Arrow's decoding in a process", decode["wall"], "s")
        limit(f"{name}-decode-alone", mine["wall"], "Arrow's decoding alone", decode["alone"], "s")
        limit(f"{name}-decode-alone-cpu", mine["cpu"], "Arrow's decoding alone", decode["alone_cpu"], "CPU-s")
    sys.stdout.flush()


def ratio(name, ours, label, theirs, unit):
    print(f"ratio {name} {theirs / ours:.2f} (ours {ours:.2f} {unit}, {label} {theirs:.2f} {unit})")


def limit(name, ours, label, bound, unit):
    print(f"limit {name} {ours / bound:.2f} (ours {ours:.2f} {unit}, {label} {bound:.2f} {unit})")


def report_feast(name, label, mine, theirs):
    """Its call alone beside our whole process, its steps, and what is wrong with its answer."""
    ratio(f"{name}-call-wall", mine["wall"], f"the call of {label} alone", theirs["call"], "s")
    ratio(f"{name}-call-cpu", mine["cpu"], f"the call of {label} alone", theirs["call_cpu"], "CPU-s")
    print(f"{name}: " + ", ".join(f"{step} {theirs[step]:.2f} s" for step in ("imports", "apply", "read", "call", "write")))
    counts = theirs["differences"]
    print(f"{name}: of {counts['spine']:,} labels {label} loses {counts['lost']:,} ({counts['lost_future']:,} of them have "
          f"values in the future only), adds {counts['surplus']:,}, and {counts['wrong']:,} rows have other values than "
          f"ours; fstore loses {counts['spine'] - counts['ours']:,}")


def report_growth(results):
    """How time and memory grow, ours and DuckDB's, and what the second processor brings."""
    if "growth-one" not in results:
        return
    for name, times in (("rows-twice", 2), ("rows-fourfold", 4), ("labels-twice", 2), ("labels-fourfold", 4)):
        if f"growth-{name}" not in results:
            continue
        for contender in ("fstore", "duckdb"):
            one, more = (results[case].get(contender) for case in ("growth-one", f"growth-{name}"))
            if one:
                grown = ", ".join(f"{key} {more[key] / one[key]:.2f} ({one[key]:.2f} to {more[key]:.2f} {unit})"
                                  for key, unit in UNITS.items())
                print(f"growth {contender}, {name.split('-')[0]} times {times}: {grown}")
    if "growth-one-core" in results:
        two, one = results["growth-one"], results["growth-one-core"]
        for contender in two:
            before, after = one[contender]["wall"], two[contender]["wall"]
            print(f"growth {contender}, all processors: {before / after:.2f} times as fast as one "
                  f"({before:.2f} to {after:.2f} s)")
    sys.stdout.flush()


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cases", "--only", nargs="*", default=[], help="cases that begin with these")
    parser.add_argument("--work", type=Path, help="where data is kept between runs; else a temporary directory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--without-feast", action="store_true", help="do not install Feast, nor run it")
    options = parser.parse_args()
    chosen = {name: case for name, case in cases(options).items()
              if not options.cases or any(name.startswith(wanted) for wanted in options.cases)}
    if not options.ours_only and any(peer in FEAST for case in chosen.values() for peer in case["peers"]):
        subprocess.run([ROOT / "Benchmarks/bootstrap", "--feast"], check=True)
    directory = options.work or Path(tempfile.mkdtemp(prefix="fstore-pit-"))
    try:
        results, data = {}, {}
        for name, case in chosen.items():
            if case["kind"] not in data:
                data[case["kind"]] = Data(directory, case["kind"], options.scale)
            results[name] = measure(data[case["kind"]], name, case, options)
            report(name, results[name])
        report_growth(results)
        if options.json:
            options.json.write_text(json.dumps({"scale": options.scale, "runs": options.runs, "cases": results},
                                               indent=1))
    finally:
        if not options.work:
            shutil.rmtree(directory, ignore_errors=True)


main()
