"""Reads every offline table of a store with PyIceberg and DuckDB, and compares what they read.

  read_tables.py STORE_DIRECTORY [--json]

Prints a line a table: rows, and an order-independent hash of all values that both readers must agree on.
Status 1 when they do not, or when a table's rows are not those that its snapshot summary counts.
"""

import hashlib
import json
import sys
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.compute
from pyiceberg.catalog import load_catalog


def connect():
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg"):
        module = __import__(f"duckdb_extension_{name}")
        folder = Path(module.__path__[0]) / "extensions" / f"v{duckdb.__version__}"
        connection.execute(f"LOAD '{folder / name}.duckdb_extension'")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def canonical(value):
    """A value as text that does not depend on who read it."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, list):
        return [canonical(element) for element in value]
    if isinstance(value, dict):
        return {key: canonical(element) for key, element in value.items()}
    if hasattr(value, "astimezone"):
        return value.isoformat()
    return str(value) if value is not None else None


def digest(table):
    """The sum of the rows' hashes: equal for equal rows in any order."""
    total = 0
    names = sorted(table.column_names)
    columns = [table.column(name).to_pylist() for name in names]
    for row in zip(*columns):
        text = json.dumps([canonical(value) for value in row])
        total += int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return f"{total % 2**64:016x}"


def utc(table):
    """The same instants in one time zone name, so that both readers' values compare."""
    for index, field in enumerate(table.schema):
        if pyarrow.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(index, field.name, table.column(index).cast(pyarrow.timestamp("us", "UTC")))
    return table


def read(store):
    warehouse = Path(store).resolve() / "warehouse"
    catalog = load_catalog("fstore", type="sql", uri=f"sqlite:///{warehouse}/catalog.db",
                           warehouse=f"file://{warehouse}")
    connection = connect()
    results = {}
    for identifier in sorted(catalog.list_tables("features")):
        table = catalog.load_table(identifier)
        first = utc(table.scan().to_arrow())
        location = table.location().removeprefix("file://")
        second = utc(connection.execute(f"SELECT * FROM iceberg_scan('{location}')").to_arrow_table())
        snapshot = table.current_snapshot()
        counted = int(snapshot.summary["total-records"]) if snapshot else 0
        results[identifier[1]] = {
            "rows": first.num_rows, "duckdb_rows": second.num_rows, "counted": counted,
            "pyiceberg": digest(first), "duckdb": digest(second),
            "files": len(list(table.scan().plan_files()))}
    return results


def main():
    results = read(sys.argv[1])
    if "--json" in sys.argv:
        print(json.dumps(results))
    wrong = []
    for name, result in results.items():
        agree = result["pyiceberg"] == result["duckdb"] and result["rows"] == result["counted"]
        if not agree:
            wrong.append(name)
        if "--json" not in sys.argv:
            print(f"{name}: {result['rows']:,} rows in {result['files']} files; PyIceberg and DuckDB "
                  + (f"agree (hash {result['pyiceberg']})" if agree else f"differ: {result}"))
    if wrong:
        sys.exit(f"not the same rows: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
