"""A small server of Iceberg's REST catalog protocol, after the published OpenAPI document, for tests.

Tables live in memory and their metadata in files below the folder given; what updates and requirements mean is left
to PyIceberg. Prints its port, serves until its input ends.

POST /test {"faults": [...], "tokens": true, "prefix": "..."} says what goes wrong with the next commits, whether
tokens are asked for, and under which prefix everything is.
"""

import json
import os
import sys
import threading
import time
import traceback
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest
from pyiceberg.table.metadata import TableMetadataUtil, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata

FOLDER = sys.argv[1]
lock = threading.RLock()
namespaces, tables = {}, {}  # by tuple of names; (namespace, name) -> [metadata location, metadata]
settings = {"faults": [], "tokens": False, "prefix": "", "page": 2, "token life": 3600}
tokens, log = set(), []


class Failure(Exception):
    def __init__(self, status, kind, message):
        super().__init__(message)
        self.status, self.kind = status, kind


def write(metadata, version):
    folder = metadata.location.removeprefix("file://") + "/metadata"
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/{version:05d}-{uuid.uuid4()}.metadata.json"
    with open(path, "w") as file:
        file.write(metadata.model_dump_json())
    return "file://" + path


def answer(identifier):
    location, metadata, _ = tables[identifier]
    return {"metadata-location": location, "metadata": json.loads(metadata.model_dump_json()), "config": {}}


def named(identifier):
    if identifier not in tables:
        raise Failure(404, "NoSuchTableException", f"no table {identifier}")
    return identifier


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        try:
            with lock:
                log.append(f"{self.command} {self.path}")
                status, result = self.route(parts.path, query, body)
            if status is None:
                self.close_connection = True
                self.connection.close()
                return
            self.reply(status, result)
        except Failure as error:
            self.reply(error.status, {"error": {"message": str(error), "type": error.kind, "code": error.status}})
        except Exception as error:
            traceback.print_exc()
            self.reply(400, {"error": {"message": f"{type(error).__name__}: {error}", "type": "BadRequest", "code": 400}})

    do_GET = do_POST = do_HEAD = do_DELETE = handle_request

    def route(self, path, query, body):
        if path == "/test":
            if body:
                settings.update(json.loads(body))
            return 200, {"log": list(log)}
        if path == "/v1/oauth/tokens":
            form = parse_qs(body.decode())
            if form.get("client_secret") != ["s:cret&"] or form.get("client_id") != ["user"]:
                return 401, {"error": "invalid_client", "error_description": "wrong credentials"}
            token = str(uuid.uuid4())
            tokens.add(token)
            return 200, {"access_token": token, "token_type": "bearer", "expires_in": settings["token life"]}
        if settings["tokens"] and self.headers.get("Authorization", "").removeprefix("Bearer ") not in tokens:
            raise Failure(401, "NotAuthorizedException", "no valid token")
        if path == "/v1/config":
            prefix = {"prefix": settings["prefix"]} if settings["prefix"] else {}
            return 200, {"defaults": {"clients": "4"}, "overrides": {"warehouse": query.get("warehouse", "")} | prefix}
        root = "/v1" + ("/" + settings["prefix"] if settings["prefix"] else "")
        if not path.startswith(root + "/"):
            raise Failure(404, "NotFound", path)
        names = [unquote(name) for name in path[len(root) + 1:].split("/")]
        request = json.loads(body) if body else {}
        return self.dispatch(names, query, request)

    def page(self, items, query, key):
        start = int(query.get("pageToken") or 0)
        end = start + settings["page"]
        more = {"next-page-token": str(end)} if end < len(items) else {}
        return 200, {key: items[start:end]} | more

    def dispatch(self, names, query, request):
        method = self.command
        if names == ["tables", "rename"]:
            old, new = [(tuple(request[key]["namespace"]), request[key]["name"]) for key in ("source", "destination")]
            if new in tables:
                raise Failure(409, "AlreadyExistsException", f"{new}")
            tables[new] = tables.pop(named(old))
            return 204, None
        if names == ["transactions", "commit"]:
            changes = [((tuple(change["identifier"]["namespace"]), change["identifier"]["name"]), change)
                       for change in request["table-changes"]]
            return (204 if self.commit(changes) else None), None
        if names == ["namespaces"]:
            if method == "GET":
                parent = tuple(query["parent"].split("\x1f")) if "parent" in query else ()
                return self.page([list(name) for name in sorted(namespaces)
                                  if name[:-1] == parent], query, "namespaces")
            name = tuple(request["namespace"])
            if name in namespaces:
                raise Failure(409, "AlreadyExistsException", f"{name}")
            namespaces[name] = request.get("properties", {})
            return 200, {"namespace": list(name), "properties": namespaces[name]}
        namespace = tuple(names[1].split("\x1f"))
        if namespace not in namespaces:
            raise Failure(404, "NoSuchNamespaceException", f"no namespace {namespace}")
        if len(names) == 2:
            if method == "DELETE":
                if any(name[0] == namespace for name in tables):
                    raise Failure(409, "NamespaceNotEmptyException", f"{namespace}")
                del namespaces[namespace]
                return 204, None
            return 200, {"namespace": list(namespace), "properties": namespaces[namespace]}
        if names[2:] == ["register"]:
            return self.create(namespace, request["name"], request)
        if names[2:] == ["tables"]:
            if method == "GET":
                return self.page([{"namespace": list(namespace), "name": name[1]} for name in sorted(tables)
                                  if name[0] == namespace], query, "identifiers")
            return self.create(namespace, request["name"], request)
        identifier = (namespace, names[3])
        if method == "HEAD":
            return (204 if identifier in tables else 404), None
        named(identifier)
        if method == "DELETE":
            del tables[identifier]
            return 204, None
        if method == "GET":
            return 200, answer(identifier)
        return (200, answer(identifier)) if self.commit([(identifier, request)]) else (None, None)

    def create(self, namespace, name, request):
        identifier = (namespace, name)
        if identifier in tables:
            raise Failure(409, "AlreadyExistsException", f"{identifier}")
        if "metadata-location" in request:
            location = request["metadata-location"]
            with open(location.removeprefix("file://")) as file:
                tables[identifier] = [location, TableMetadataUtil.parse_raw(file.read()), 1]
            return 200, answer(identifier)
        request.setdefault("location", None)
        wanted = CreateTableRequest.model_validate(request)
        location = wanted.location or f"file://{FOLDER}/{'.'.join(namespace)}/{name}-{uuid.uuid4()}"
        metadata = new_table_metadata(
            schema=wanted.table_schema, partition_spec=wanted.partition_spec or UNPARTITIONED_PARTITION_SPEC,
            sort_order=wanted.write_order or UNSORTED_SORT_ORDER, location=location, properties=wanted.properties)
        tables[identifier] = [write(metadata, 0), metadata, 0]
        return 200, answer(identifier)

    def commit(self, changes):
        """Commits all of (identifier, request) or none."""
        fault = settings["faults"].pop(0) if settings["faults"] else None
        if fault == "409":
            raise Failure(409, "CommitFailedException", "planted")
        if fault and fault.endswith("before"):
            raise Failure(int(fault.split()[0]), "Planted", "planted, nothing done")
        updated = [self.updated(identifier, request) for identifier, request in changes]
        for (identifier, _), metadata in zip(changes, updated):
            version = tables[identifier][2] + 1
            tables[identifier] = [write(metadata, version), metadata, version]
        if fault == "drop after":
            return False
        if fault == "slow after":
            time.sleep(2)
        if fault and fault.endswith("after"):
            if fault[0].isdigit():
                raise Failure(int(fault.split()[0]), "Planted", "planted, done all the same")
        return True

    def updated(self, identifier, request):
        request["identifier"] = {"namespace": list(identifier[0]), "name": identifier[1]}
        wanted = CommitTableRequest.model_validate(request)
        location, metadata, _ = tables[named(identifier)]
        try:
            for requirement in wanted.requirements:
                requirement.validate(metadata)
        except CommitFailedException as error:
            raise Failure(409, "CommitFailedException", str(error)) from error
        return update_table_metadata(metadata, wanted.updates, metadata_location=location)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
