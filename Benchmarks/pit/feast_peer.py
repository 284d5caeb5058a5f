"""What Feast does, one process: feast_peer.py ENGINE CASE.json OUTPUT FIGURES.json

ENGINE is "duckdb", or "default" for the one that Feast takes if its configuration names none (dask). The case is one
of peer.py's with one table of one file. As Feast's tutorials have it: definitions are applied to a local registry,
the spine is read with pandas, and the answer of `get_historical_features` is written as Parquet. The seconds of each
step go to FIGURES.json; "call" is `get_historical_features` and the making of its answer, nothing else.
"""

import time

STARTED = time.perf_counter()

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pandas
import pyarrow.parquet
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Bool, Float64, Int64, String

TYPES = {"f": Float64, "i": Int64, "s": String, "b": Bool}


def store(directory, engine):
    settings = {} if engine == "default" else {"offline_store": {"type": engine}}
    return FeatureStore(config=RepoConfig(
        project="pit", provider="local", registry=str(directory / "registry.db"), entity_key_serialization_version=3,
        online_store={"type": "sqlite", "path": str(directory / "online.db")}, **settings))


def definitions(table):
    entity = Entity(name="entity", join_keys=["entity"], value_type=ValueType.INT64)
    source = FileSource(name="source", path=table["files"][0], timestamp_field="event_time")
    fields = [Field(name=name, dtype=TYPES[name[0]]) for name in table["features"]]
    return [entity, FeatureView(name="view", entities=[entity], ttl=timedelta(days=table["ttl_days"] or 0),
                                schema=fields, source=source)]


def main(engine, case, output, figures):
    table, = case["tables"]
    seconds, last = {}, [STARTED]

    def done(step):
        now = time.perf_counter()
        seconds[step], last[0] = now - last[0], now
    done("imports")
    with tempfile.TemporaryDirectory() as directory:
        features = store(Path(directory), engine)
        features.apply(definitions(table))
        done("apply")
        spine = pandas.read_parquet(case["spine"])
        done("read")
        processor = time.process_time()
        answer = features.get_historical_features(
            entity_df=spine, features=[f"view:{name}" for name in table["features"]]).to_arrow()
        done("call")
        seconds["call_cpu"] = time.process_time() - processor
        pyarrow.parquet.write_table(answer, output, compression="zstd")
        done("write")
    Path(figures).write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), *sys.argv[3:])
