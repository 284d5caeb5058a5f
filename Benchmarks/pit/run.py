"""Training sets, ours and peers', on the same Parquet files in one run.

  run.py [--scale S] [--runs N] [--only CASE ...] [--work DIRECTORY] [--json FILE] [--ours-only]

Scale 1 is 20 million feature rows (1 million entities, 10 features) and a spine of 2 million; the default is a
tenth of that. Every figure is of a whole process: wall time, processor time, peak memory; contenders take turns and
medians are compared. The outputs are compared value for value before any figure is printed.

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
GENERATE = Path(__file__).with_name("generate.py")
FEATURES = [f"f{n}" for n in range(1, 7)] + ["i1", "i2", "s1", "b1"]
FEW_FEATURES = ["f1", "f2", "i1", "s1"]
PEERS = {"duckdb": "DuckDB", "expert": "DuckDB pruned by hand", "polars": "Polars"}


# The tables' files are not fstore's own: it is told where they may lie.
ENVIRONMENT = dict(os.environ)


def run(arguments):
    """Runs a process; wall and processor seconds, peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {' '.join(str(a) for a in arguments)}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}


class Data:
    """Tables, spines and the store over them; made once for a scale and kept with the work directory."""

    def __init__(self, work, scale):
        self.work, self.store = work, work / "store"
        marker = work / "complete"
        if not marker.exists():
            for name in ("store", "tables", "spines"):
                shutil.rmtree(work / name, ignore_errors=True)
            # In a process of its own: a child's peak memory is never below what its parent has when it forks.
            run([sys.executable, GENERATE, work, scale])
            marker.write_text("")
        self.files = {path.name: sorted(str(file) for file in path.iterdir())
                      for path in (work / "tables").iterdir()}


def cases(data):
    """name -> what to join, with which peers."""
    def table(name, ttl=None, features=FEATURES, group=None):
        return {"group": group or name, "files": data.files[name], "features": features, "ttl_days": ttl}

    def case(spine, *tables, peers=("duckdb", "polars")):
        return {"spine": str(data.work / f"spines/{spine}.parquet"), "tables": list(tables), "peers": peers}
    few = FEW_FEATURES
    selective = ("duckdb", "expert")
    return {
        "A1-arrival": case("all", table("arrival")),
        "A2-sorted": case("all", table("sorted")),
        "A3-small-files": case("all", table("small")),
        "A4-text-keys": case("text", table("text")),
        "A5-three-tables": case("all", table("part1", 1, few), table("part2", 7, few), table("part3", 30, few)),
        "A6-recent": case("recent", table("arrival", 7, group="recent"), peers=selective),
        "A7-sparse": case("sparse", table("sorted"), peers=selective),
        "few-arrival": case("few", table("arrival"), peers=selective),
        "few-small-files": case("few", table("small"), peers=selective),
    }


def ours(data, case, output):
    arguments = [FSTORE, "training-set", "--spine", case["spine"], "--time", "label_time", "--output", output,
                 "--overwrite", "--store", data.store]
    for number, table in enumerate(case["tables"]):
        for feature in table["features"]:
            name = feature if number == 0 else f"t{number + 1}_{feature}"
            arguments += ["--feature", f"{table['group']}:{feature}={name}"]
    return run(arguments)


def measure(data, name, case, options):
    outputs = {peer: data.work / f"{name}-{peer}.parquet" for peer in ("fstore", *case["peers"])}
    definitions = {}
    for peer in (*case["peers"], "decode"):
        definitions[peer] = data.work / f"{name}-{peer}.json"
        definitions[peer].write_text(json.dumps(case | {"expert": peer == "expert"}))
    figures = {}
    for _ in range(options.runs):
        figures.setdefault("fstore", []).append(ours(data, case, outputs["fstore"]))
        if options.ours_only:
            continue
        for peer in (*case["peers"], "decode"):
            mode = "duckdb" if peer == "expert" else peer
            figures.setdefault(peer, []).append(
                run([sys.executable, PEER, mode, definitions[peer], outputs.get(peer, "-")]))
    if not options.ours_only:
        checked = subprocess.run([sys.executable, PEER, "check", definitions["decode"],
                                  *(str(path) for path in outputs.values())], capture_output=True, text=True)
        if checked.returncode != 0:
            sys.exit(f"{name}: {checked.stderr}")
        say(f"{name}: all outputs are equal (digest {checked.stdout.strip()})")
    for path in (*outputs.values(), *definitions.values()):
        path.unlink(missing_ok=True)
    return {peer: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for peer, runs in figures.items()}


def report(name, figures):
    mine = figures["fstore"]
    print(f"{name}: fstore {mine['wall']:.2f} s, {mine['cpu']:.2f} CPU-s, {mine['memory']:.0f} MiB")
    for peer, label in PEERS.items():
        if peer not in figures:
            continue
        theirs = figures[peer]
        for key, unit in (("wall", "s"), ("cpu", "CPU-s"), ("memory", "MiB")):
            print(f"ratio {name}-{peer}-{key} {theirs[key] / mine[key]:.2f} "
                  f"(ours {mine[key]:.2f} {unit}, {label} {theirs[key]:.2f} {unit})")
    if "decode" in figures:
        print(f"limit {name}-decode {mine['wall'] / figures['decode']['wall']:.2f} (ours {mine['wall']:.2f} s, "
              f"Arrow decoding the columns {figures['decode']['wall']:.2f} s)")
    sys.stdout.flush()


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="cases that begin with these")
    parser.add_argument("--work", type=Path, help="where data is kept between runs; else a temporary directory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--ours-only", action="store_true")
    options = parser.parse_args()
    directory = options.work or Path(tempfile.mkdtemp(prefix="fstore-pit-"))
    try:
        work = directory / f"scale-{options.scale}"
        work.mkdir(parents=True, exist_ok=True)
        ENVIRONMENT["FSTORE_TABLE_FOLDERS"] = str(work.resolve() / "tables")
        data = Data(work.resolve(), options.scale)
        results = {}
        for name, case in cases(data).items():
            if options.only and not any(name.startswith(wanted) for wanted in options.only):
                continue
            results[name] = measure(data, name, case, options)
            report(name, results[name])
        if options.json:
            options.json.write_text(json.dumps({"scale": options.scale, "runs": options.runs, "cases": results},
                                               indent=1))
    finally:
        if not options.work:
            shutil.rmtree(directory, ignore_errors=True)


main()
