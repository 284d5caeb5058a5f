"""The demo's training set, computed by DuckDB from the CSV files alone, with a query of its own.

  expected_training_set.py DATA_DIRECTORY OUTPUT.parquet
  expected_training_set.py DATA_DIRECTORY --compare TRAINING_SET.parquet

Rows are those of flights.csv, in its order. Of records with equal key and event time the later line counts.
With --compare every value of every row must be equal; the first differences are printed otherwise, status 1.
"""

import sys

import duckdb

WEATHER = ["month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
           "pressure", "visib"]
PLANES = ["built", "type", "manufacturer", "model", "engines", "seats", "engine"]
ARRIVALS = ["arr_delay", "last_origin", "last_dest"]
SPINE = ["carrier", "flight", "tailnum", "origin", "dest", "scheduled_departure"]
# A value counts for this long after its event time (the demo's groups say the same).
WEATHER_TTL = "INTERVAL 6 HOURS"


def expected(data):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true; SET threads = 1")

    def load(table, key, time):
        connection.execute(f"""
            CREATE TABLE {table}_raw AS
            SELECT row_number() OVER () AS line, *
            FROM read_csv('{data}/{table}.csv', header = true, nullstr = '', sample_size = -1, parallel = false,
                          types = {{'{time}': 'TIMESTAMPTZ'}})""")
        connection.execute(f"""
            CREATE TABLE {table} AS SELECT * FROM {table}_raw
            QUALIFY row_number() OVER (PARTITION BY {key}, {time} ORDER BY line DESC) = 1""")

    load("weather", "origin", "observed_at")
    load("planes", "tailnum", "registered_at")
    load("arrivals", "tailnum", "arrived_at")
    connection.execute(f"""
        CREATE TABLE flights AS SELECT row_number() OVER () AS line, *
        FROM read_csv('{data}/flights.csv', header = true, nullstr = '', sample_size = -1, parallel = false,
                      types = {{'scheduled_departure': 'TIMESTAMPTZ'}})""")

    def columns(table, names, condition="true"):
        return ", ".join(f"CASE WHEN {condition} THEN {table}.{name} END AS {name}" for name in names)

    fresh = f"weather.observed_at >= flights.scheduled_departure - {WEATHER_TTL}"
    return connection, f"""
        SELECT {", ".join("flights." + name for name in SPINE)},
               {columns("weather", WEATHER, fresh)}, {columns("planes", PLANES)}, {columns("arrivals", ARRIVALS)}
        FROM flights
        ASOF LEFT JOIN weather
          ON flights.origin = weather.origin AND flights.scheduled_departure >= weather.observed_at
        ASOF LEFT JOIN planes
          ON flights.tailnum = planes.tailnum AND flights.scheduled_departure >= planes.registered_at
        ASOF LEFT JOIN arrivals
          ON flights.tailnum = arrivals.tailnum AND flights.scheduled_departure >= arrivals.arrived_at
        ORDER BY flights.line"""


def rows(connection, query):
    names = SPINE + WEATHER + PLANES + ARRIVALS
    casts = ", ".join(
        f"CAST({name} AS DOUBLE)" if name in WEATHER + ["built", "engines", "seats", "arr_delay", "flight"]
        else f"epoch_us({name})" if name == "scheduled_departure" else name for name in names)
    return names, connection.execute(f"SELECT {casts} FROM ({query})").fetchall()


def main():
    data = sys.argv[1]
    connection, query = expected(data)
    if sys.argv[2] != "--compare":
        connection.execute(f"COPY ({query}) TO '{sys.argv[2]}' (FORMAT parquet)")
        return
    names, wanted = rows(connection, query)
    _, found = rows(connection, f"SELECT * FROM read_parquet('{sys.argv[3]}')")
    if len(wanted) != len(found):
        sys.exit(f"{len(found)} rows, expected {len(wanted)}")
    wrong = [(index, name, row[column], other[column])
             for index, (row, other) in enumerate(zip(wanted, found))
             for column, name in enumerate(names) if row[column] != other[column]]
    for index, name, value, other in wrong[:10]:
        print(f"row {index}, {name}: expected {value!r}, found {other!r}")
    if wrong:
        sys.exit(f"{len(wrong)} values of {len(wanted) * len(names)} differ")
    filled = sum(value is not None for row in wanted for value in row)
    print(f"{len(wanted)} rows x {len(names)} columns equal, {filled} values not null")


main()
