"""PyIceberg, DuckDB, Polars and fastavro at the service of the Swift tests, in one process.

Reads one JSON object a line, {"call": NAME, ...arguments}, and answers each with one line: {"result": ...},
or {"error": ...} with the traceback. Ends with its input.
"""

import datetime
import json
import sys
import traceback

import fastavro
import polars
import pyarrow.parquet as parquet
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import (
    And, EqualTo, GreaterThan, GreaterThanOrEqual, In, IsNaN, IsNull, LessThan, LessThanOrEqual, Not, NotEqualTo,
    NotIn, NotNaN, NotNull, NotStartsWith, Or, StartsWith)
from pyiceberg.expressions import literals
from pyiceberg.expressions.visitors import bind
from pyiceberg.io.pyarrow import expression_to_pyarrow, schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import parse_transform
import pyiceberg.types as kinds
from sqlalchemy.exc import OperationalError

import values
from read_tables import connect

_duckdb = None
_catalogs = {}


def duckdb():
    global _duckdb
    if _duckdb is None:
        _duckdb = connect()
        _duckdb.execute("SET arrow_lossless_conversion = true")
    return _duckdb


def catalog(folder, name="test"):
    if folder not in _catalogs:
        _catalogs[folder] = load_catalog(
            name, type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    return _catalogs[folder]


def load(folder, table, catalog_name="test"):
    return catalog(folder, catalog_name).load_table(table)


def location(table, hint):
    return (table.location() if hint else table.metadata_location).removeprefix("file://")


# --- reading ----------------------------------------------------------------------------------------

def read(folder, table, engine, hint=False, snapshot=None, columns=None, catalog_name="test"):
    """All rows of a version of a table."""
    table = load(folder, table, catalog_name)
    if engine == "pyiceberg":
        scan = table.scan(snapshot_id=snapshot, selected_fields=tuple(columns or ["*"]))
        return values.rows(scan.to_arrow())
    names = ", ".join(columns) if columns else "*"
    version = f", snapshot_from_id => {snapshot}" if snapshot else ""
    query = f"SELECT {names} FROM iceberg_scan('{location(table, hint)}'{version})"
    return values.rows(duckdb().execute(query).to_arrow_table())


def read_versions(folder, table, snapshots=(), references=(), times=()):
    """All rows of several versions: PyIceberg's, and DuckDB's where it can ask for that."""
    loaded = load(folder, table)
    place = f"iceberg_scan('{location(loaded, False)}'"

    def ask(version):
        return values.rows(duckdb().execute(f"SELECT * FROM {place}, {version})").to_arrow_table())

    def own(snapshot):
        return values.rows(loaded.scan(snapshot_id=snapshot).to_arrow())

    return {
        "snapshots": [{"pyiceberg": own(snapshot), "duckdb": ask(f"snapshot_from_id => {snapshot}")}
                      for snapshot in snapshots],
        "references": [{"pyiceberg": values.rows(loaded.scan().use_ref(name).to_arrow())} for name in references],
        "times": [{"pyiceberg": own(loaded.snapshot_as_of_timestamp(time).snapshot_id),
                   "duckdb": ask(f"snapshot_from_timestamp => make_timestamp({time} * 1000)")} for time in times]}


def fields(schema, found):
    """The name and the type of every field of an Avro schema that has an Iceberg field id, by that id."""
    if isinstance(schema, list):
        for branch in schema:
            fields(branch, found)
    elif isinstance(schema, dict):
        for field in schema.get("fields", []):
            kind = field["type"]
            optional = isinstance(kind, list)
            kind = [branch for branch in kind if branch != "null"][0] if optional else kind
            plain = kind if isinstance(kind, str) else f"{kind['type']} {kind.get('logicalType', '')}".strip()
            if isinstance(kind, dict) and "logicalType" in kind:
                plain += "".join(f" {key} {kind[key]}" for key in ("adjust-to-utc", "precision", "scale", "size")
                                 if key in kind)
            found[str(field["field-id"])] = [field["name"], plain, optional]
            fields(kind, found)
        for key in ("element-id", "key-id", "value-id"):
            if key in schema:
                found[str(schema[key])] = key
        fields(schema.get("items"), found)
    return found


def avro(path):
    """The header, the fields and the records of an Avro file, as fastavro reads it."""
    with open(path.removeprefix("file://"), "rb") as file:
        reader = fastavro.reader(file)
        records = json.loads(json.dumps(list(reader), default=lambda value: value.hex()
                                        if isinstance(value, bytes) else str(value)))
        metadata = {key: value for key, value in reader.metadata.items() if key != "avro.schema"}
        return {"metadata": metadata, "fields": fields(json.loads(reader.metadata["avro.schema"]), {}),
                "records": records}


# --- filters ----------------------------------------------------------------------------------------

COMPARISONS = {"<": LessThan, "<=": LessThanOrEqual, "=": EqualTo, "!=": NotEqualTo, ">=": GreaterThanOrEqual,
               ">": GreaterThan}
TESTS = {"is null": IsNull, "is not null": NotNull, "is nan": IsNaN, "is not nan": NotNaN}


def literal(value, kind, arrow):
    if isinstance(kind, kinds.DateType):
        return literals.DateLiteral(value)
    if isinstance(kind, kinds.TimeType):
        return literals.TimeLiteral(value)
    if isinstance(kind, (kinds.TimestampType, kinds.TimestamptzType)):
        return literals.TimestampLiteral(value)
    if isinstance(kind, kinds.UUIDType):
        return literals.UUIDLiteral(bytes.fromhex(value))
    if isinstance(kind, kinds.FloatType):  # as a double an infinity would be out of the range of floats
        return literals.FloatLiteral(values.scalar(value, arrow))
    return literals.literal(values.scalar(value, arrow))


def leaves(condition):
    """The conditions on single columns that a condition is made of."""
    if condition[0] in ("and", "or", "not"):
        return [leaf for part in condition[1:] for leaf in leaves(part)]
    return [condition]


def expression(condition, schema):
    """PyIceberg's expression for [column, operator, value] or ["and" | "or" | "not", conditions...]."""
    if condition[0] in ("and", "or", "not"):
        parts = [expression(part, schema) for part in condition[1:]]
        return Not(parts[0]) if condition[0] == "not" else (And if condition[0] == "and" else Or)(*parts)
    name, operator, *rest = condition
    kind = schema.find_type(name)
    arrow = schema_to_pyarrow(schema).field(name).type
    if operator in COMPARISONS:
        return COMPARISONS[operator](name, literal(rest[0], kind, arrow))
    if operator in ("in", "not in"):
        return (In if operator == "in" else NotIn)(name, [literal(value, kind, arrow) for value in rest[0]])
    if operator in ("starts with", "not starts with"):
        return (StartsWith if operator == "starts with" else NotStartsWith)(name, rest[0])
    return TESTS[operator](name)


def sql(condition, schema):
    """The same for DuckDB."""
    if condition[0] == "not":
        return f"NOT ({sql(condition[1], schema)})"
    if condition[0] in ("and", "or"):
        return "(" + f") {condition[0]} (".join(sql(part, schema) for part in condition[1:]) + ")"
    name, operator, *rest = condition
    arrow = schema_to_pyarrow(schema).field(name).type

    def text(value):
        kind = schema.find_type(name)
        if isinstance(kind, kinds.DateType):
            return f"(DATE '1970-01-01' + ({value}))"
        if isinstance(kind, kinds.TimeType):
            return f"(TIME '00:00:00' + to_microseconds({value}))"
        if isinstance(kind, kinds.TimestampType):
            return f"make_timestamp({value})"
        if isinstance(kind, kinds.TimestamptzType):
            return f"make_timestamptz({value})"
        if isinstance(kind, kinds.UUIDType):
            return f"'{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}'::UUID"
        if isinstance(kind, (kinds.BinaryType, kinds.FixedType)):
            return "'" + "".join(f"\\x{byte:02X}" for byte in bytes.fromhex(value)) + "'::BLOB"
        if isinstance(kind, kinds.StringType):
            return "'" + value.replace("'", "''") + "'"
        if isinstance(kind, (kinds.FloatType, kinds.DoubleType)):
            return f"'{values.scalar(value, arrow)!r}'::{'FLOAT' if isinstance(kind, kinds.FloatType) else 'DOUBLE'}"
        if isinstance(kind, kinds.DecimalType):
            return f"'{values.scalar(value, arrow)}'::{kind}"
        return str(value)

    if operator in COMPARISONS:
        return f'"{name}" {operator} {text(rest[0])}'
    if operator in ("in", "not in"):
        return f'"{name}" {operator} ({", ".join(text(value) for value in rest[0])})'
    if operator == "starts with":
        return f"starts_with({name}, {text(rest[0])})"
    if operator == "not starts with":
        return f"NOT starts_with({name}, {text(rest[0])})"
    if operator.endswith("nan"):
        return f"isnan({name})" if operator == "is nan" else f"NOT isnan({name})"
    return f'"{name}" {operator}'


def scanned(table, wanted):
    """The ids that PyIceberg finds."""
    return set(table.scan(row_filter=wanted, selected_fields=("id",)).to_arrow().column("id").to_pylist())


def planned(table, wanted, known):
    """The ids of all rows in the files that PyIceberg would open."""
    found = set()
    for task in table.scan(row_filter=wanted).plan_files():
        path = task.file.file_path.removeprefix("file://")
        if path not in known:
            known[path] = set(parquet.read_table(path, columns=["id"], partitioning=None).column("id").to_pylist())
        found |= known[path]
    return found


def filters(folder, table, conditions, engines=("pyiceberg", "duckdb"), scan_each=4):
    """For each condition the ids of the rows that match, and what each engine misses of them when it skips.

    DuckDB decides what matches, on a copy of the rows. PyIceberg plans with every condition, and scans with
    every `scan_each`-th: the rows that its own filter then finds are compared with those that the same filter
    chooses from all rows.
    """
    table = load(folder, table)
    schema = table.schema()
    place = f"iceberg_scan('{location(table, False)}')"
    duckdb().execute(f"CREATE OR REPLACE TEMP TABLE everything AS SELECT * FROM {place}")
    everything = table.scan().to_arrow() if "pyiceberg" in engines else None
    result, known = [], {}

    def ask(source, text):
        return {row[0] for row in duckdb().execute(f"SELECT id FROM {source} WHERE {text}").fetchall()}

    for index, condition in enumerate(conditions):
        name, operator = condition[:2] if condition[0] not in ("and", "or", "not") else (None, None)
        used = [schema.find_type(leaf[0]) for leaf in leaves(condition)]
        floating = isinstance(used[0], (kinds.FloatType, kinds.DoubleType))
        try:
            text = sql(condition, schema)
            matching = ask("everything", text)
            # DuckDB takes NaN for greater than all, but skips files by bounds, which know no NaN.
            lost = ask("everything", f"isnan({name})") if floating and operator in (">", ">=") else set()
            answer = {"matching": sorted(matching)}
            if "duckdb" in engines:
                answer["duckdb misses"] = sorted(matching - lost - ask(place, text))
            if "pyiceberg" in engines:
                wanted = expression(condition, schema)
                # To PyIceberg no comparison with NaN holds, but for !=.
                missed = matching - lost - planned(table, wanted, known)
                # Arrow has no kernels for UUIDs, so PyIceberg can only plan by them.
                if index % scan_each == 0 and not any(isinstance(kind, kinds.UUIDType) for kind in used):
                    chosen = everything.filter(expression_to_pyarrow(bind(schema, wanted, True), schema))
                    missed |= set(chosen.column("id").to_pylist()) ^ scanned(table, wanted)
                answer["pyiceberg misses"] = sorted(missed)
        except Exception as error:
            raise ValueError(f"{condition}: {error}") from error
        result.append(answer)
    return result


# --- writing ----------------------------------------------------------------------------------------

def create(folder, table, schema, partitions=(), properties=None):
    """Creates a table from the JSON of a schema and [source id, transform] pairs."""
    schema = Schema.model_validate_json(json.dumps(schema))
    fields = [PartitionField(source_id=source, field_id=1000 + index, transform=parse_transform(transform),
                             name=f"p{index}_{schema.find_field(source).name}")
              for index, (source, transform) in enumerate(partitions)]
    store = catalog(folder)
    store.create_namespace_if_not_exists(table.split(".")[0])
    return store.create_table(table, schema, partition_spec=PartitionSpec(*fields),
                              properties=properties or {}).metadata_location


def as_arrow(table, rows):
    return values.table(rows, schema_to_pyarrow(table.schema(), include_field_ids=False))


def append(folder, table, rows, branch="main", catalog_name="test"):
    """Appends rows of canonical values, one commit."""
    table = load(folder, table, catalog_name)
    table.append(as_arrow(table, rows), branch=branch)
    return table.metadata.refs[branch].snapshot_id


def append_each(folder, table, rows, catalog_name="test"):
    """Appends each row in a commit of its own, as often as it takes; returns the snapshots that were acknowledged.

    What fails before the catalog's pointer moved has not happened, so it is done again.
    """
    snapshots = []
    for row in rows:
        for attempt in range(100):
            fresh = load_catalog(catalog_name, **catalog(folder, catalog_name).properties).load_table(table)
            try:
                fresh.append(as_arrow(fresh, [row]))
                snapshots.append(fresh.current_snapshot().snapshot_id)
                break
            except (CommitFailedException, ValidationException, FileNotFoundError):
                continue  # the last two: the snapshot to build on was expired and vacuumed meanwhile
            except OperationalError as error:
                if "locked" not in str(error):
                    raise
        else:
            raise ValueError(f"no commit after {attempt} attempts")
    return snapshots


def delete(folder, table, filter, catalog_name="test"):
    load(folder, table, catalog_name).delete(filter)


def overwrite(folder, table, rows, filter, catalog_name="test"):
    table = load(folder, table, catalog_name)
    table.overwrite(as_arrow(table, rows), overwrite_filter=filter)


def properties(folder, table, set, catalog_name="test"):
    with load(folder, table, catalog_name).transaction() as transaction:
        transaction.set_properties(**set)


def evolve(folder, table, steps):
    """Changes of schema, partition spec and references: [what, arguments...] each, one commit each."""
    for what, *rest in steps:
        loaded = load(folder, table)
        if what == "tag":
            loaded.manage_snapshots().create_tag(loaded.current_snapshot().snapshot_id, rest[0]).commit()
        elif what == "branch":
            loaded.manage_snapshots().create_branch(loaded.current_snapshot().snapshot_id, rest[0]).commit()
        elif what == "partition by":
            with loaded.update_spec() as update:
                update.add_field(rest[0], parse_transform(rest[1]), rest[2])
        elif what == "no longer partition by":
            with loaded.update_spec() as update:
                update.remove_field(rest[0])
        else:
            with loaded.update_schema() as update:
                if what == "add":
                    path = tuple(rest[0].split("."))
                    update.add_column(path, parse_type(rest[1]))
                elif what == "rename":
                    update.rename_column(rest[0], rest[1])
                elif what == "drop":
                    update.delete_column(rest[0])
                elif what == "widen":
                    update.update_column(rest[0], field_type=parse_type(rest[1]))
                elif what == "first":
                    update.move_first(rest[0])


def inspect(folder, table):
    """What PyIceberg's metadata tables say, one text a line."""
    tables = load(folder, table).inspect

    def moment(time):
        return round(time.timestamp() * 1000)

    return {
        "history": [f"{moment(row['made_current_at'])} {row['snapshot_id']} {row['parent_id'] or 0} "
                    f"{str(row['is_current_ancestor']).lower()}" for row in tables.history().to_pylist()],
        "refs": [f"{row['name']} {row['type'].lower()} {row['snapshot_id']}" for row in tables.refs().to_pylist()],
        "metadata_log": [f"{row['file']} {row['latest_snapshot_id'] or 0}"
                         for row in tables.metadata_log_entries().to_pylist()],
        "manifests": [f"{row['path']} {row['content']}" for row in tables.manifests().to_pylist()],
        "files": [f"{row['content']} {row['file_path']} {row['record_count']}" for row in tables.files().to_pylist()],
        "entries": [f"{row['status']} {row['sequence_number']} {row['data_file']['file_path']}"
                    for row in tables.entries().to_pylist()],
        "partitions": [f"{row['spec_id']} {row['record_count']} {row['file_count']} "
                       f"{row['position_delete_record_count']} {row['last_updated_snapshot_id'] or 0}"
                       for row in tables.partitions().to_pylist()]}


def compare_query(folder, query, file):
    """The first difference between what a query gives and the rows of a Parquet file, names and order included."""
    def ask(text):
        result = duckdb().execute(text)
        return [column[0] for column in result.description], result.fetchall()

    names, rows = ask(query)
    wanted_names, wanted = ask(f"SELECT * FROM read_parquet('{file}')")
    difference = None
    if names != wanted_names:
        difference = f"columns {names} instead of {wanted_names}"
    elif len(rows) != len(wanted):
        difference = f"{len(rows)} rows instead of {len(wanted)}"
    else:
        different = [place for place in range(len(rows)) if rows[place] != wanted[place]]
        if different:
            difference = f"row {different[0]}: {rows[different[0]]} instead of {wanted[different[0]]}"
    return {"rows": len(rows), "difference": difference}


def compare_asof(table, file, keys, time, event_time, features, is_strict, delay, tolerance):
    """The first difference between a training set and what DuckDB's ASOF JOIN and Polars' join_asof give for its
    rows, which are numbered by the column "row". Delay and tolerance (or None) are in microseconds."""
    engine = duckdb()
    answers = engine.execute(f"SELECT * FROM read_parquet('{file}')").to_arrow_table()
    labels = answers.select(["row", *keys, time])
    records = engine.execute(
        f"SELECT {', '.join(keys)}, \"{event_time}\" + to_microseconds({delay}) AS known, {', '.join(features)} "
        f"FROM iceberg_scan('{table}')").to_arrow_table()
    names = ["row", *features]
    wanted = [tuple(row[name] for name in names) for row in answers.select(names).to_pylist()]

    condition = " AND ".join(f"label.{key} = record.{key}" for key in keys)
    fresh = f"record.known >= label.{time} - to_microseconds({tolerance})" if tolerance is not None else "true"
    values_found = ", ".join(f"CASE WHEN {fresh} THEN record.{name} END" for name in features)
    found = {"DuckDB": engine.execute(
        f"SELECT label.row, {values_found} FROM labels label ASOF LEFT JOIN records record "
        f"ON {condition} AND label.{time} {'>' if is_strict else '>='} record.known ORDER BY label.row").fetchall()}

    left, right = polars.from_arrow(labels), polars.from_arrow(records)
    timed = left.filter(polars.col(time).is_not_null()).sort(time)
    joined = timed.join_asof(
        right.sort("known"), check_sortedness=False, left_on=time, right_on="known", by=keys, strategy="backward",
        allow_exact_matches=not is_strict,
        tolerance=None if tolerance is None else datetime.timedelta(microseconds=tolerance))
    timeless = left.filter(polars.col(time).is_null())
    found["Polars"] = polars.concat([joined, timeless], how="diagonal").sort("row").select(names).rows()

    for peer, rows in found.items():
        if len(rows) != len(wanted):
            return {"difference": f"{peer}: {len(rows)} rows, not {len(wanted)}"}
        for row, expected in zip(rows, wanted):
            if row != expected:
                return {"difference": f"{peer}: {row}, not {expected}"}
    return {"difference": None, "rows": len(wanted), "answered": sum(row[1] is not None for row in wanted)}


def parse_type(text):
    return Schema.model_validate(
        {"type": "struct", "fields": [{"id": 1, "name": "x", "required": False, "type": text}]}).find_type("x")


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": globals()[request.pop("call")](**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
