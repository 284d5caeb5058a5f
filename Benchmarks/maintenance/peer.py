"""What peers do with the files of the maintenance benchmark; one process a figure.

  peer.py compact-polars FILES OUTPUT | compact-duckdb FILES OUTPUT | compact-arrow FILES OUTPUT | compact-pyiceberg CATALOG
  peer.py compact-spark FILES OUTPUT, by spark-submit
  peer.py sort-polars FILES OUTPUT | sort-duckdb FILES OUTPUT | is-sorted FILES
  peer.py latest-duckdb FILES | latest-polars FILES | latest-pyiceberg CATALOG
  peer.py digest FILES

FILES is a text file with a path a line; CATALOG is a catalog database of fstore's.
"""

import sys

# What fstore compresses tables with.
LEVEL = 1

LATEST = """
  select count(*), sum(hash(record_id, event_time, f1, f2, f3, f4, f5, f6, i1, i2, s1, b1)::hugeint) from (
    select *, row_number() over (partition by record_id
      order by event_time desc, api_invocation_time desc, write_time desc) as rank from rows)
  where rank = 1 and not is_deleted"""


def paths(file):
    with open(file) as lines:
        return lines.read().split()


def duckdb_over(file):
    import duckdb
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    rows = connection.read_parquet(paths(file))
    connection.register("rows", rows)
    return connection, rows


def duckdb_copy(files, rows, output):
    duckdb_over(files)[0].execute(
        f"copy {rows} to '{output}' (format parquet, compression zstd, compression_level {LEVEL})")


def pyiceberg(catalog):
    from pyiceberg.catalog.sql import SqlCatalog
    return SqlCatalog("bench", uri=f"sqlite:///{catalog}").load_table("bench.orders")


def latest_polars(frame):
    import polars as pl
    return (frame.sort(["event_time", "api_invocation_time", "write_time"], descending=True)
            .unique("record_id", keep="first", maintain_order=True).filter(~pl.col("is_deleted")))


def main(mode, *arguments):
    if mode == "compact-polars":
        import polars as pl
        pl.scan_parquet(paths(arguments[0])).sink_parquet(arguments[1], compression="zstd", compression_level=LEVEL)
    elif mode == "compact-duckdb":
        duckdb_copy(arguments[0], "rows", arguments[1])
    elif mode == "compact-arrow":
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq
        rows = ds.dataset(paths(arguments[0]), format="parquet")
        with pq.ParquetWriter(arguments[1], rows.schema, compression="zstd", compression_level=LEVEL) as writer:
            for batch in rows.to_batches():
                writer.write_batch(batch, row_group_size=1 << 20)
    elif mode == "compact-spark":
        from pyspark.sql import SparkSession
        spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", False)
                 .config("spark.sql.parquet.compression.codec", "zstd")
                 .config("spark.hadoop.parquet.compression.codec.zstd.level", LEVEL).getOrCreate())
        spark.sparkContext.setLogLevel("ERROR")
        spark.read.parquet(*paths(arguments[0])).coalesce(1).write.parquet(arguments[1])
    elif mode == "compact-pyiceberg":
        table = pyiceberg(arguments[0])
        table.overwrite(table.scan().to_arrow())
    elif mode == "sort-polars":
        import polars as pl
        pl.scan_parquet(paths(arguments[0])).sort("record_id", "event_time").sink_parquet(
            arguments[1], compression="zstd", compression_level=LEVEL)
    elif mode == "sort-duckdb":
        duckdb_copy(arguments[0], "(from rows order by record_id, event_time)", arguments[1])
    elif mode == "is-sorted":
        import polars as pl
        keys = pl.concat([pl.read_parquet(path, columns=["record_id", "event_time"]) for path in paths(arguments[0])])
        print(keys.equals(keys.sort("record_id", "event_time")))
    elif mode == "latest-duckdb":
        print(*duckdb_over(arguments[0])[0].sql(LATEST).fetchall()[0])
    elif mode == "latest-polars":
        import polars as pl
        print(latest_polars(pl.scan_parquet(paths(arguments[0]))).select(pl.len()).collect(engine="streaming").item())
    elif mode == "latest-pyiceberg":
        import polars as pl
        frame = pl.from_arrow(pyiceberg(arguments[0]).scan().to_arrow()).lazy()
        print(latest_polars(frame).select(pl.len()).collect().item())
    elif mode == "digest":
        print(*duckdb_over(arguments[0])[0].sql("select count(*), sum(hash(rows)::hugeint) from rows").fetchall()[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
