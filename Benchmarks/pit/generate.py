"""Feature tables and spines with fixed seeds, and a store of fstore's over them: generate.py DIRECTORY KIND SCALE

KIND is "layouts" (20 million rows times SCALE in several layouts), "small" (a million rows, whatever the scale: what
Feast is measured with) or "growth" (tables of 20, 40 and 80 million rows times SCALE).

Rows: entity, event_time, ten features (f1-f6 double with 5 % nulls, i1, i2 long, s1 text of 50 values, b1
boolean) and the columns that fstore keeps beside them (write_time, is_deleted, lsn). Entities are mildly skewed,
(entity, event_time) is unique, so that every engine has one answer. Arrival order has up to an hour of jitter,
and 2 % of the rows come up to five days late.
"""

import subprocess
import sys
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet

FSTORE = Path(__file__).resolve().parents[2] / ".build/release/fstore"
KINDS = {"f": "double", "i": "long", "s": "string", "b": "boolean"}
DAY = 86_400_000_000
START = 1_700_000_000_000_000
DAYS = 90
FEATURES = [f"f{n}" for n in range(1, 7)] + ["i1", "i2", "s1", "b1"]
FEW_FEATURES = ["f1", "f2", "i1", "s1"]
# Compression saves less than an eighth of them.
NOT_COMPRESSED = ["f1", "f2", "f5", "f6"]
UTC = pyarrow.timestamp("us", "UTC")


def key_column(entities, text):
    if not text:
        return pyarrow.array(entities, pyarrow.int64())
    # Two parts and a length as real identifiers have; the values are those of the integers.
    unique, places = numpy.unique(entities, return_inverse=True)
    names = pyarrow.array([f"customer-{value * 7919 % 1_000_003:07d}-{value:09d}" for value in unique.tolist()])
    return names.take(pyarrow.array(places))


def features(rows, names, random):
    columns = {}
    for name in names:
        if name[0] == "f":
            values = random.normal(size=rows) if name in ("f1", "f2") else random.random(rows)
            if name in ("f3", "f4"):
                values = values.round(2)
            columns[name] = pyarrow.array(values, mask=random.random(rows) < 0.05)
        elif name[0] == "i":
            columns[name] = pyarrow.array(random.integers(0, 1000 if name == "i1" else 1 << 40, rows), pyarrow.int64())
        elif name[0] == "s":
            words = pyarrow.array([f"segment-{n:02d}" for n in range(50)])
            codes = pyarrow.array(random.integers(0, 50, rows), pyarrow.int32(), mask=random.random(rows) < 0.03)
            columns[name] = words.take(codes)
        else:
            columns[name] = pyarrow.array(random.random(rows) < 0.3)
    return columns


def table(rows, entities, seed, names=FEATURES, text=False):
    """Rows in the order of their arrival, which is that of their LSN."""
    random = numpy.random.default_rng(seed)
    who = (entities * random.random(rows) ** 1.6).astype(numpy.int64)
    when = START + random.integers(0, DAYS * DAY, rows)
    while True:
        order = numpy.lexsort((when, who))
        repeated = order[1:][(who[order][1:] == who[order][:-1]) & (when[order][1:] == when[order][:-1])]
        if not len(repeated):
            break
        when[repeated] += random.integers(1, 1000, len(repeated))
    late = random.random(rows) < 0.02
    arrival = when + random.integers(0, DAY // 24, rows) + late * random.integers(0, 5 * DAY, rows)
    order = numpy.argsort(arrival, kind="stable")
    who, when, arrival = who[order], when[order], arrival[order]
    columns = {"entity": key_column(who, text), "event_time": pyarrow.array(when, UTC)}
    columns |= features(rows, names, random)
    columns |= {"write_time": pyarrow.array(arrival, UTC), "is_deleted": pyarrow.array(numpy.zeros(rows, bool)),
                "lsn": pyarrow.array(numpy.arange(1, rows + 1), pyarrow.int64())}
    required = ("entity", "event_time", "write_time", "is_deleted", "lsn")
    schema = pyarrow.schema([pyarrow.field(name, column.type, nullable=name not in required)
                             for name, column in columns.items()])
    return pyarrow.table(columns, schema=schema)


def write(table, directory, rows_per_file, rows_per_page=20_000):
    """As fstore writes: zstandard but for numbers that hardly become smaller, dictionaries for text and integers, page
    index."""
    directory.mkdir(parents=True)
    codecs = {name: "none" if name in NOT_COMPRESSED else "zstd" for name in table.column_names}
    levels = {name: 1 for name, codec in codecs.items() if codec == "zstd"}
    dictionary = [field.name for field in table.schema if not pyarrow.types.is_floating(field.type)
                  and not pyarrow.types.is_boolean(field.type)]
    paths = []
    for number, start in enumerate(range(0, table.num_rows, rows_per_file)):
        path = directory / f"{number:05d}.parquet"
        pyarrow.parquet.write_table(table.slice(start, rows_per_file), path, compression=codecs, compression_level=levels,
                                    use_dictionary=dictionary, row_group_size=1 << 20, write_page_index=True,
                                    max_rows_per_page=rows_per_page)
        paths.append(str(path))
    return paths


def spine(path, rows, entities, seed, first=0.0, only=None, text=False):
    """Labels from `first` of the time range on; 2 % of the entities are unknown; `only` so many entities."""
    random = numpy.random.default_rng(seed)
    if only is None:
        who = (entities * random.random(rows) ** 1.6).astype(numpy.int64)
        unknown = random.random(rows) < 0.02
        who[unknown] += entities
    else:
        who = random.choice(random.integers(0, entities, only), rows)
    when = START + random.integers(int(first * DAYS * DAY), DAYS * DAY, rows)
    columns = {"row_id": pyarrow.array(numpy.arange(rows), pyarrow.int64()), "entity": key_column(who, text),
               "label_time": pyarrow.array(when, UTC), "label": pyarrow.array(random.random(rows))}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd")


def say(text):
    print(text, file=sys.stderr, flush=True)


def sizes(scale):
    """Rows of the table, entities, labels."""
    return int(20e6 * scale), int(1e6 * scale), int(2e6 * scale)


def make_layouts(work, tables, spines, scale):
    rows, entities, labels = sizes(scale)
    say(f"generating {rows:,} rows in several layouts")
    arrival = table(rows, entities, seed=1)
    paths = {"arrival": write(arrival, tables / "arrival", -(-rows // 13)),
             "small": write(arrival, tables / "small", 10_000)}
    ordered = arrival.sort_by([("entity", "ascending"), ("event_time", "ascending")])
    paths["sorted"] = write(ordered, tables / "sorted", rows)
    paths["pages"] = write(ordered, tables / "pages", rows, rows_per_page=2000)
    del arrival, ordered
    paths["text"] = write(table(rows, entities, seed=1, text=True), tables / "text", -(-rows // 13))
    for number in (1, 2, 3):
        part = table(rows // 2, entities, seed=10 + number, names=FEW_FEATURES)
        paths[f"part{number}"] = write(part, tables / f"part{number}", -(-rows // 26))
    spine(spines / "all.parquet", labels, entities, 2)
    spine(spines / "text.parquet", labels, entities, 2, text=True)
    spine(spines / "recent.parquet", labels // 20, entities, 3, first=83 / 90)
    spine(spines / "sparse.parquet", labels // 200, entities, 4, only=max(1, entities // 1000))
    spine(spines / "few.parquet", 1000, entities, 5)
    groups = {name: (name, None) for name in ("arrival", "small", "sorted", "pages", "text")}
    groups["recent"] = ("arrival", 7)
    groups |= {f"part{number}": (f"part{number}", days) for number, days in ((1, 1), (2, 7), (3, 30))}
    make_store(work / "store", groups, paths)


def make_small(work, tables, spines, _):
    say("generating the small case: 1,000,000 rows, 100,000 labels")
    rows = table(1_000_000, 50_000, seed=1).sort_by([("entity", "ascending"), ("event_time", "ascending")])
    paths = {"small": write(rows, tables / "small", rows.num_rows)}
    spine(spines / "small.parquet", 100_000, 50_000, 2)
    make_store(work / "store", {"small": ("small", None)}, paths)


def make_growth(work, tables, spines, scale):
    """Every row, every second and every fourth of one table, so that keys and range of time stay; and spines that
    grow just so."""
    rows, entities, labels = sizes(scale)
    say(f"generating tables of {rows:,}, {2 * rows:,} and {4 * rows:,} rows")
    whole = table(4 * rows, entities, seed=21)
    paths = {}
    for times in (1, 2, 4):
        chosen = whole if times == 4 else whole.take(pyarrow.array(numpy.arange(0, 4 * rows, 4 // times)))
        paths[f"rows{times}"] = write(chosen, tables / f"rows{times}", -(-rows // 13))
        spine(spines / f"labels{times}.parquet", times * labels, entities, 30 + times)
    make_store(work / "store", {name: (name, None) for name in paths}, paths)


def make_store(store, groups, paths):
    from pyiceberg.catalog.sql import SqlCatalog

    def fstore(*arguments):
        subprocess.run([FSTORE, *arguments], check=True, stdout=subprocess.DEVNULL)
    fstore("init", store)
    for group, (table, ttl) in groups.items():
        names = FEW_FEATURES if table.startswith("part") else FEATURES
        fstore("group", "create", group, "--key", f"entity:{'string' if table == 'text' else 'long'}",
               "--event-time", "event_time", *(["--ttl", f"{ttl}d"] if ttl else []),
               *(part for name in names for part in ("--feature", f"{name}:{KINDS[name[0]]}")), "--store", store)
    catalog = SqlCatalog("fstore", uri=f"sqlite:///{store}/warehouse/catalog.db", warehouse=f"file://{store}/warehouse")
    for group, (table, _) in groups.items():
        say(f"adding {len(paths[table])} files to the table of '{group}'")
        catalog.load_table(("features", group)).add_files(paths[table], check_duplicate_files=False)


def make(work, kind, scale):
    (work / "spines").mkdir(parents=True)
    makers = {"layouts": make_layouts, "small": make_small, "growth": make_growth}
    makers[kind](work, work / "tables", work / "spines", scale)


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
