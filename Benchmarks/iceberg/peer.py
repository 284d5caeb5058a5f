"""What peers do in the Iceberg benchmark; one process a figure, one JSON object of answers.

  peer.py commits DIRECTORY ROWS COUNT | append DIRECTORY ROWS | plan CATALOG [DAY] | scan FILES THREADS

ROWS is an Arrow file, CATALOG a catalog database of fstore's, FILES a text file with a path a line.
"""

import datetime
import json
import resource
import sys
import time

FIRST_DAY = 20_000


def processor():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def catalog(database, warehouse=None):
    from pyiceberg.catalog.sql import SqlCatalog
    properties = {"uri": f"sqlite:///{database}"}
    if warehouse:
        properties["warehouse"] = f"file://{warehouse}"
    return SqlCatalog("bench", **properties)


def create(directory, schema):
    tables = catalog(f"{directory}/catalog.db", f"{directory}/warehouse")
    tables.create_namespace("bench")
    # As our tables have it: otherwise the folder gains a file of all snapshots with every commit.
    return tables.create_table("bench.rows", schema, properties={
        "write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "100"})


def read(path):
    import pyarrow as pa
    with pa.OSFile(path) as file:
        return pa.ipc.open_file(file).read_all()


def commits(directory, rows, count):
    batch = read(rows)
    table = create(directory, batch.schema)
    times, start_processor = [], processor()
    for commit in range(count):
        part = batch.slice(commit * 1000 % (batch.num_rows - 1000), 1000)
        start = time.perf_counter()
        table.append(part)
        times.append((time.perf_counter() - start) * 1000)
    return {"milliseconds": times, "cpu-seconds": processor() - start_processor}


def append(directory, rows):
    import pyarrow  # Its import is not the reading.
    begin = time.perf_counter()
    table_rows = read(rows)
    reading = time.perf_counter() - begin
    table = create(directory, table_rows.schema)
    start, start_processor = time.perf_counter(), processor()
    table.append(table_rows)
    return {"reading": reading, "seconds": time.perf_counter() - start, "cpu-seconds": processor() - start_processor,
            "rows": table_rows.num_rows, "bytes": sum(f["file_size_in_bytes"] for f in table.inspect.files().to_pylist())}


def plan(database, day=None):
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan
    start = time.perf_counter()
    table = catalog(database).load_table("bench.rows")
    loaded = time.perf_counter()
    scan = table.scan()
    if day is not None:
        first = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=FIRST_DAY + day)
        scan = table.scan(row_filter=And(GreaterThanOrEqual("event_time", first.isoformat()), LessThan(
            "event_time", (first + datetime.timedelta(days=1)).isoformat())))
    start_processor = processor()
    tasks = list(scan.plan_files())
    return {"seconds": time.perf_counter() - loaded, "cpu-seconds": processor() - start_processor,
            "loading": loaded - start, "files": len(tasks), "rows": sum(task.file.record_count for task in tasks)}


def scan(files, threads):
    import pyarrow as pa
    import pyarrow.parquet as pq
    pa.set_cpu_count(threads)
    start, start_processor = time.perf_counter(), processor()
    rows = nulls = 0
    for path in open(files).read().split():
        for batch in pq.ParquetFile(path).iter_batches(batch_size=65_536, use_threads=threads > 1):
            rows += batch.num_rows
            nulls += sum(column.null_count for column in batch.columns)
    return {"seconds": time.perf_counter() - start, "cpu-seconds": processor() - start_processor,
            "rows": rows, "nulls": nulls}


def main(mode, *arguments):
    if mode == "commits":
        result = commits(arguments[0], arguments[1], int(arguments[2]))
    elif mode == "append":
        result = append(*arguments)
    elif mode == "plan":
        result = plan(arguments[0], *map(int, arguments[1:]))
    else:
        result = scan(arguments[0], int(arguments[1]))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
