"""The latest record of every key of a table, ours and peers', over many small files and after compaction.

  latest.py [--files N] [--rows N] [--runs N] [--work DIRECTORY] [--json FILE] [--without-pyiceberg] [--without-spark]

The table is that of a feature group: ten records of a key, one in twenty a tombstone, up to an hour late. From the table to
one Parquet file, all columns: 'fstore latest'; DuckDB by row_number and by arg_max over the same files; PyIceberg, which
reads the table and lets Polars choose. Every figure is of a whole process: wall time, processor time, peak memory; contenders
take turns and medians are compared. All answers must be the same.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from peer import LEVEL
from run import ROOT, median, run, say

FSTORE = ROOT / "Benchmarks/.build/release/fstore"
OURS = ROOT / "Benchmarks/.build/release/latest-benchmark"
FEATURES = "f1, f2, f3, f4, f5, f6, i1, i2, s1, b1"
COLUMNS = f"record_id, event_time, {FEATURES}, write_time, lsn"
ROW_NUMBER = f"""select {COLUMNS} from (select *, row_number() over (partition by record_id order by event_time desc, lsn desc)
  as rank from rows) where rank = 1 and not is_deleted"""
ARG_MAX = f"""select {COLUMNS} from (select unnest(arg_max(rows, (event_time, lsn))) from rows group by record_id)
  where not is_deleted"""


def duckdb_latest(query, files, output):
    import duckdb
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    connection.register("rows", connection.read_parquet(Path(files).read_text().split()))
    connection.execute(f"copy ({query}) to '{output}' (format parquet, compression zstd, compression_level {LEVEL})")


def pyiceberg_latest(catalog, output):
    import polars as pl
    from pyiceberg.catalog.sql import SqlCatalog
    table = SqlCatalog("fstore", uri=f"sqlite:///{catalog}").load_table("features.orders")
    frame = pl.from_arrow(table.scan().to_arrow()).lazy()
    latest = (frame.sort(["event_time", "lsn"], descending=True).unique("record_id", keep="first")
              .filter(~pl.col("is_deleted")).select([name.strip() for name in COLUMNS.split(",")]))
    latest.collect().write_parquet(output, compression="zstd", compression_level=LEVEL)


def digest(output):
    import duckdb
    return duckdb.sql(f"select count(*), sum(hash({COLUMNS})::hugeint) from '{output}'").fetchall()[0]


def measure(store, files, options):
    figures, answers = {}, {}
    output = store.parent / "latest.parquet"
    for _ in range(options.runs):
        for name in ("fstore", "duckdb row_number", "duckdb arg_max"):
            output.unlink(missing_ok=True)
            command = ([FSTORE, "latest", "orders", "--store", store, "--output", output, "--json"] if name == "fstore"
                       else [sys.executable, __file__, name, files, output])
            figures.setdefault(name, []).append(run(*command)[0])
            answers[name] = digest(output)
    if not options.without_pyiceberg:
        output.unlink(missing_ok=True)
        name = "pyiceberg"
        figures[name] = [run(sys.executable, __file__, name, store / "warehouse/catalog.db", output)[0]]
        answers[name] = digest(output)
    output.unlink(missing_ok=True)
    if len(set(answers.values())) != 1:
        sys.exit(f"contenders disagree: {answers}")
    return {name: median(runs) for name, runs in figures.items()}, answers["fstore"]


def main():
    if len(sys.argv) == 4 and sys.argv[1].startswith("duckdb"):
        return duckdb_latest(ROW_NUMBER if sys.argv[1].endswith("row_number") else ARG_MAX, *sys.argv[2:])
    if len(sys.argv) == 4 and sys.argv[1] == "pyiceberg":
        return pyiceberg_latest(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / "Benchmarks/.build/latest-benchmark")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--without-pyiceberg", action="store_true")
    parser.add_argument("--without-spark", action="store_true", help="there is none here")
    options = parser.parse_args()
    folder = options.work.resolve() / f"{options.files}x{options.rows}"
    store, complete = folder / "store", folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"writing {options.files} files of {options.rows} rows")
        run(OURS, "prepare", store, options.files, options.rows)
        complete.write_text("")
    results, digests = {}, set()
    for when in ("before", "after"):
        if when == "before":
            run(OURS, "restore", store)
        else:
            run(FSTORE, "optimize", "orders", "--store", store)
        files = folder / f"{when}.txt"
        files.write_text(run(OURS, "files", store)[1])
        results[when], answer = measure(store, files, options)
        digests.add(answer)
    if len(digests) != 1:
        sys.exit(f"the answer is not the same before and after compaction: {digests}")
    say(f"{digests.pop()[0]} keys, the same from all")
    for when, figures in results.items():
        mine = figures["fstore"]
        best = min((figure["wall"], name) for name, figure in figures.items() if name.startswith("duckdb"))[1]
        for name in (best, "pyiceberg"):
            for key, unit in (("wall", "s"), ("cpu", "CPU-s"), ("memory", "MiB")):
                if name in figures:
                    theirs = figures[name][key]
                    print(f"ratio latest-{options.files}x{options.rows}-{when}-{name.replace(' ', '-')}-{key} "
                          f"{theirs / mine[key]:.2f} (ours {mine[key]:.2f} {unit}, {name} {theirs:.2f} {unit})")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
