"""The whole path, ours and peers', on the flights of 2013, in one run.

  run.py [--runs N] [--data DIRECTORY] [--json FILE]

Every figure is of a whole process, from its start to its end: wall time, processor time, peak memory.
Contenders take turns, so that a noisy moment hits all; medians are compared. What each does is said
beside its figure, for they are not equals: ours also keeps a durable log and an online index. The training
sets are compared value for value before any figure is printed.
"""

import argparse
import json
import os
import resource
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

GROUPS = {
    "weather": ["--key", "origin:string", "--event-time", "observed_at", "--ttl", "6h"]
    + sum((["--feature", f"{name}:{kind}"] for name, kind in [
        ("month", "int"), ("day", "int"), ("hour", "int"), ("temp", "double"), ("dewp", "double"), ("humid", "double"),
        ("wind_dir", "int"), ("wind_speed", "double"), ("wind_gust", "double"), ("precip", "double"),
        ("pressure", "double"), ("visib", "double")]), []),
    "planes": ["--key", "tailnum:string", "--event-time", "registered_at"]
    + sum((["--feature", f"{name}:{kind}"] for name, kind in [
        ("built", "int"), ("type", "string"), ("manufacturer", "string"), ("model", "string"), ("engines", "int"),
        ("seats", "int"), ("engine", "string")]), []),
    "arrivals": ["--key", "tailnum:string", "--event-time", "arrived_at", "--feature", "arr_delay:int",
                 "--feature", "last_origin:string", "--feature", "last_dest:string"],
}


def run(arguments, **environment):
    """Runs a process; wall and processor seconds, peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL,
                               env={**os.environ, **environment})
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {' '.join(str(a) for a in arguments)}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}


def files(store, group):
    listing = subprocess.run([FSTORE, "files", group, "--json", "--store", store], capture_output=True, check=True)
    return [entry["path"].removeprefix("file://") for entry in json.loads(listing.stdout)]


def create(store):
    run([FSTORE, "init", store])
    for name, definition in GROUPS.items():
        run([FSTORE, "group", "create", name, *definition, "--store", store])
    run([FSTORE, "view", "create", "flight", "weather:*", "planes:*", "arrivals:*", "--store", store])


def once(data, work, results):
    def note(step, contender, figures):
        results.setdefault(step, {}).setdefault(contender, []).append(figures)

    store = work / "store"
    create(store)
    step = "arrivals.csv into an Iceberg table"
    note(step, "fstore: log, online index, one flush",
         run([FSTORE, "ingest", "arrivals", data / "arrivals.csv", "--store", store]))
    note(step, "PyIceberg: one append", run([sys.executable, PEER, "append", data / "arrivals.csv", work / "pyiceberg"]))

    shutil.rmtree(store)
    create(store)
    run([FSTORE, "ingest", "weather", data / "weather.csv", "--store", store, "--flush-every", 1000])
    run([FSTORE, "ingest", "planes", data / "planes.csv", "--store", store])
    step = "arrivals.csv in flushes of 8,000 records, a commit each"
    note(step, "fstore: log, online index, flushes",
         run([FSTORE, "ingest", "arrivals", data / "arrivals.csv", "--store", store, "--flush-every", 8000]))
    shutil.rmtree(work / "pyiceberg")
    note(step, "PyIceberg: appends",
         run([sys.executable, PEER, "append", data / "arrivals.csv", work / "pyiceberg", 8000]))

    def training_sets(label):
        tables = json.dumps({name: files(store, name) for name in GROUPS})
        step = f"training set, {label}"
        outputs = {name: work / f"{name}.parquet" for name in ("fstore", "duckdb", "polars")}
        note(step, "fstore", run([FSTORE, "training-set", "--spine", data / "flights.csv", "--time",
                                  "scheduled_departure", "--view", "flight", "--output", outputs["fstore"],
                                  "--overwrite", "--store", store]))
        for name in ("duckdb", "polars"):
            note(step, {"duckdb": "DuckDB: ASOF JOIN", "polars": "Polars: join_asof"}[name],
                 run([sys.executable, PEER, name, data / "flights.csv", outputs[name]], TABLES=tables))
            run([sys.executable, PEER, "compare", outputs["fstore"], outputs[name]])

    training_sets("many small files")
    step = "compaction of the arrivals table"
    tables = json.dumps({"arrivals": files(store, "arrivals")})
    note(step, "Polars: bare files, no commit", run([sys.executable, PEER, "rewrite", work / "rewritten.parquet"],
                                                    TABLES=tables))
    note(step, "PyIceberg: overwrite with its own scan", run([sys.executable, PEER, "overwrite", work / "pyiceberg"]))
    note(step, "fstore optimize", run([FSTORE, "optimize", "arrivals", "--store", store]))
    run([FSTORE, "optimize", "--all", "--store", store])
    training_sets("one file a table")


def limits(work):
    """What the disk and the memory give: the scale of all figures above."""
    block = os.urandom(4096)
    path = work / "sync"
    with open(path, "wb") as file:
        file.write(bytes(1 << 20))
    descriptor = os.open(path, os.O_RDWR)
    times = []
    for index in range(200):
        start = time.perf_counter()
        os.pwrite(descriptor, block, index % 256 * 4096)
        os.fdatasync(descriptor)
        times.append(time.perf_counter() - start)
    os.close(descriptor)
    import numpy
    source = numpy.ones(32 << 20)
    start = time.perf_counter()
    for _ in range(4):
        target = source.copy()
    copied = 4 * 2 * source.nbytes / (time.perf_counter() - start)
    del target
    return {"fdatasync of 4 KiB, median": f"{statistics.median(times) * 1e6:.0f} us",
            "memory copy, one core": f"{copied / 1e9:.1f} GB/s", "cores": os.cpu_count()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory(prefix="fstore-bench-") as base:
        base = Path(base)
        data = options.data
        if data is None:
            data = base / "data"
            if subprocess.run([sys.executable, ROOT / "scripts/flights-data", data]).returncode != 0:
                data = ROOT / "sample-data"
                print("using January only, from sample-data/")
        for index in range(options.runs):
            work = base / f"run{index}"
            work.mkdir()
            once(data, work, results)
            print(f"run {index + 1} of {options.runs} done", file=sys.stderr)
            shutil.rmtree(work)
        machine = limits(base)
    medians = {step: {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
                      for name, runs in contenders.items()} for step, contenders in results.items()}
    for step, contenders in medians.items():
        print(f"\n{step}")
        ours = next(value for name, value in contenders.items() if name.startswith("fstore"))
        for name, figures in contenders.items():
            ratio = "" if figures is ours else f"   fstore takes {ours['wall'] / figures['wall']:.2f} of its time"
            print(f"  {name:42} {figures['wall']:7.3f} s wall {figures['cpu']:7.3f} s cpu"
                  f" {figures['memory']:7.0f} MiB{ratio}")
    print("\n" + ", ".join(f"{name}: {value}" for name, value in machine.items())
          + f"; medians of {options.runs} runs; process start included everywhere")
    if options.json:
        options.json.write_text(json.dumps({"limits": machine, "medians": medians}, indent=2) + "\n")


main()
