"""What the peers do, one process each: peer.py CONTENDER CASE.json OUTPUT

A case has "spine" and "tables", each with "files", "features" and "ttl_days"; features of later tables are renamed
`t2_f1` and so on. "expert" asks for the pruning that someone does by hand who knows the data: literal bounds of
time and the spine's entities as a semi join.
"""

import json
import sys
import time

MOMENT, TIME = "label_time", "event_time"


def output_name(table, feature):
    return feature if table == 0 else f"t{table + 1}_{feature}"


def duckdb(case, output):
    import duckdb
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    spine = f"read_parquet('{case['spine']}')"
    joins, columns = [], []
    for number, table in enumerate(case["tables"]):
        source = f"(SELECT entity, {TIME}, {', '.join(table['features'])} FROM read_parquet({table['files']})"
        if case.get("expert"):
            low, high = connection.execute(f"SELECT min({MOMENT}), max({MOMENT}) FROM {spine}").fetchone()
            conditions = [f"{TIME} <= TIMESTAMPTZ '{high}'", f"entity IN (SELECT entity FROM {spine})"]
            if table["ttl_days"]:
                conditions.append(f"{TIME} >= TIMESTAMPTZ '{low}' - INTERVAL {table['ttl_days']} DAY")
            source += " WHERE " + " AND ".join(conditions)
        source += ")"
        for feature in table["features"]:
            value = f"t{number}.{feature}"
            if table["ttl_days"]:
                value = (f"CASE WHEN t{number}.{TIME} >= s.{MOMENT} - INTERVAL {table['ttl_days']} DAY "
                         f"THEN {value} END")
            columns.append(f"{value} AS {output_name(number, feature)}")
        joins.append(f"ASOF LEFT JOIN {source} t{number} ON s.entity = t{number}.entity "
                     f"AND s.{MOMENT} >= t{number}.{TIME}")
    connection.execute(f"COPY (SELECT s.*, {', '.join(columns)} FROM {spine} s {' '.join(joins)}) "
                       f"TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


def polars(case, output):
    import polars
    rows = polars.scan_parquet(case["spine"]).sort(MOMENT)
    for number, table in enumerate(case["tables"]):
        facts = polars.scan_parquet(table["files"]).select("entity", TIME, *table["features"])
        facts = facts.rename({name: output_name(number, name) for name in table["features"]}).sort(TIME)
        ttl = table["ttl_days"]
        rows = rows.join_asof(facts, left_on=MOMENT, right_on=TIME, by="entity", strategy="backward", coalesce=False,
                              check_sortedness=False, tolerance=f"{ttl}d" if ttl else None).drop(TIME)
    rows.sink_parquet(output, compression="zstd", compression_level=1, engine="streaming")


def decode(case, figures):
    """The limit: Arrow decodes the columns needed, on all cores, and drops them. Python starts before the clock."""
    import pyarrow.dataset
    wall, processor = time.perf_counter(), time.process_time()
    for table in case["tables"]:
        columns = ["entity", TIME, *table["features"]]
        for batch in pyarrow.dataset.dataset(table["files"]).to_batches(columns=columns):
            del batch
    with open(figures, "w") as file:
        json.dump({"alone": time.perf_counter() - wall, "alone_cpu": time.process_time() - processor}, file)


def output_columns(case):
    names = ["row_id", "entity", MOMENT, "label"]
    return names + [output_name(n, f) for n, table in enumerate(case["tables"]) for f in table["features"]]


def check(case, ours, *others):
    """Every column as an order-independent sum of hashes with the row's id; NaN never occurs."""
    import duckdb
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    names = output_columns(case)

    def digest(path):
        sums = ", ".join(f"sum(hash(row_id, {name})::HUGEINT)" for name in names)
        counts = ", ".join(f"count({name})" for name in names)
        return connection.execute(f"SELECT count(*), count(DISTINCT row_id), {counts}, {sums} "
                                  f"FROM read_parquet('{path}')").fetchone()
    wanted = digest(ours)
    for other in others:
        if digest(other) != wanted:
            sys.exit(f"{other} has other rows than {ours}: {digest(other)} and {wanted}")
    ids = connection.execute(f"SELECT count(*) FROM (SELECT row_id, row_number() OVER () - 1 AS place "
                             f"FROM read_parquet('{ours}')) WHERE row_id <> place").fetchone()[0]
    if ids:
        sys.exit(f"{ours} is not in the spine's order")
    print(hash(wanted) & 0xFFFFFFFF)


def differences(case, ours, theirs):
    """Row by row, as JSON: how many of the spine's rows are lost, how many of these have values in the future only,
    how many rows are there that the spine has not or twice, and how many rows have another value than ours."""
    import duckdb
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE VIEW spine AS FROM read_parquet('{case['spine']}')")
    connection.execute(f"CREATE VIEW ours AS FROM read_parquet('{ours}')")
    connection.execute(f"CREATE VIEW theirs AS FROM read_parquet('{theirs}')")
    connection.execute("CREATE VIEW lost AS SELECT * FROM spine WHERE row_id NOT IN (SELECT row_id FROM theirs)")
    first = " UNION ALL ".join(f"SELECT entity, min({TIME}) AS first FROM read_parquet({table['files']}) GROUP BY 1"
                               for table in case["tables"])
    differs = " OR ".join(f"o.{name} IS DISTINCT FROM t.{name}" for name in output_columns(case))
    queries = {
        "spine": "SELECT count(*) FROM spine",
        "ours": "SELECT count(DISTINCT row_id) FROM ours",
        "lost": "SELECT count(*) FROM lost",
        "lost_future": f"SELECT count(DISTINCT row_id) FROM lost JOIN ({first}) USING (entity) WHERE first > {MOMENT}",
        "surplus": "SELECT count(*) - count(DISTINCT CASE WHEN row_id IN (SELECT row_id FROM spine) THEN row_id END) "
                   "FROM theirs",
        "wrong": f"SELECT count(*) FROM ours o JOIN theirs t USING (row_id) WHERE {differs}",
    }
    print(json.dumps({name: connection.execute(query).fetchone()[0] for name, query in queries.items()}))


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        definition = json.load(file)
    commands = {"duckdb": duckdb, "polars": polars, "decode": decode, "check": check, "differences": differences}
    commands[sys.argv[1]](definition, *sys.argv[3:])
