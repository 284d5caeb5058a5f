"""What the peers do in one process. TABLES in the environment names the Parquet files of each table."""

import json
import os
import sys
from pathlib import Path

WEATHER = ["month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
           "pressure", "visib"]
PLANES = ["built", "type", "manufacturer", "model", "engines", "seats", "engine"]
ARRIVALS = ["arr_delay", "last_origin", "last_dest"]
# Table, key, event time, ttl in hours, features.
GROUPS = [("weather", "origin", "observed_at", 6, WEATHER), ("planes", "tailnum", "registered_at", None, PLANES),
          ("arrivals", "tailnum", "arrived_at", None, ARRIVALS)]


def tables():
    return json.loads(os.environ["TABLES"])


def catalog(directory):
    from pyiceberg.catalog.sql import SqlCatalog
    Path(directory).mkdir(parents=True, exist_ok=True)
    return SqlCatalog("bench", uri=f"sqlite:///{directory}/catalog.db", warehouse=f"file://{directory}")


def append(csv, directory, rows=None):
    import pyarrow
    import pyarrow.csv
    table = pyarrow.csv.read_csv(csv, convert_options=pyarrow.csv.ConvertOptions(
        column_types={"arrived_at": pyarrow.timestamp("us", "UTC")}, strings_can_be_null=True))
    target = catalog(directory)
    target.create_namespace("features")
    iceberg = target.create_table("features.arrivals", table.schema)
    step = int(rows) if rows else table.num_rows
    for start in range(0, table.num_rows, step):
        iceberg.append(table.slice(start, step))


def overwrite(directory):
    iceberg = catalog(directory).load_table("features.arrivals")
    iceberg.overwrite(iceberg.scan().to_arrow())


def duckdb(spine, output):
    import duckdb
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
    joins, columns = [], []
    for table, key, moment, ttl, features in GROUPS:
        connection.execute(f"""
            CREATE VIEW {table} AS SELECT * FROM read_parquet({tables()[table]})
            QUALIFY row_number() OVER (PARTITION BY {key}, {moment} ORDER BY lsn DESC) = 1""")
        fresh = f"NOT {table}.is_deleted"
        if ttl:
            fresh += f" AND {table}.{moment} >= flights.scheduled_departure - INTERVAL {ttl} HOURS"
        columns += [f"CASE WHEN {fresh} THEN {table}.{name} END AS {name}" for name in features]
        joins.append(f"ASOF LEFT JOIN {table} ON flights.{key} = {table}.{key}"
                     f" AND flights.scheduled_departure >= {table}.{moment}")
    connection.execute(f"""
        COPY (
          WITH flights AS (
            SELECT row_number() OVER () AS line, *
            FROM read_csv('{spine}', header = true, nullstr = '', types = {{'scheduled_departure': 'TIMESTAMPTZ'}}))
          SELECT flights.* EXCLUDE line, {", ".join(columns)} FROM flights {" ".join(joins)} ORDER BY flights.line
        ) TO '{output}' (FORMAT parquet, COMPRESSION zstd)""")


def polars(spine, output):
    import polars
    moment = "scheduled_departure"
    rows = polars.read_csv(spine, try_parse_dates=False).with_row_index("line")
    rows = rows.with_columns(polars.col(moment).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"))
    rows = rows.sort(moment)
    for table, key, time, ttl, features in GROUPS:
        facts = polars.read_parquet(tables()[table]).sort("lsn").unique([key, time], keep="last").sort(time)
        facts = facts.select(key, time, "is_deleted", *features)
        rows = rows.join_asof(facts, left_on=moment, right_on=time, by=key, strategy="backward", check_sortedness=False,
                              tolerance=f"{ttl}h" if ttl else None)
        gone = polars.col("is_deleted").fill_null(True)
        rows = rows.with_columns(polars.when(gone).then(None).otherwise(polars.col(name)).alias(name)
                                 for name in features).drop("is_deleted", time, strict=False)
    rows.sort("line").drop("line").write_parquet(output, compression="zstd")


def rewrite(output):
    import polars
    polars.read_parquet(tables()["arrivals"]).write_parquet(output, compression="zstd")


def compare(ours, theirs):
    import pyarrow
    import pyarrow.parquet
    left, right = pyarrow.parquet.read_table(ours), pyarrow.parquet.read_table(theirs)
    if left.num_rows != right.num_rows:
        sys.exit(f"{left.num_rows} and {right.num_rows} rows")
    for name in left.column_names:
        wanted = right.column(name).cast(left.schema.field(name).type)
        if not left.column(name).combine_chunks().equals(wanted.combine_chunks()):
            sys.exit(f"the column '{name}' differs between {ours} and {theirs}")


{"append": append, "overwrite": overwrite, "duckdb": duckdb, "polars": polars, "rewrite": rewrite,
 "compare": compare}[sys.argv[1]](*sys.argv[2:])
