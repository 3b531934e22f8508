"""A small Kubernetes API server on loopback TLS, and the trouble that a real one can make.

It keeps objects, versions, and who manages which label and annotation; no more. What rests on more
is tested on the real one, in tests/e2e/kubernetes.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import itertools
import json
import re
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import trustme

from tests.support.replies import Reply, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    Object = dict[str, Any]

_COLLECTION = re.compile(
    r"(?P<group>/api/v1|/apis/[^/]+/v1)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?"
)
_DISCOVERY = {
    "/api/v1": {
        "resources": [
            {"name": "serviceaccounts", "namespaced": True, "verbs": ["list"]},
            {"name": "configmaps", "namespaced": True, "verbs": ["list"]},
            {"name": "events", "namespaced": True, "verbs": ["list"]},
            {"name": "nodes", "namespaced": False, "verbs": ["list"]},
        ]
    },
    "/apis": {"groups": [{"preferredVersion": {"groupVersion": "apps/v1"}}]},
    "/apis/apps/v1": {
        "resources": [{"name": "deployments", "namespaced": True, "verbs": ["list"]}]
    },
}


class ApiServer:
    """The server. `trouble` is asked before each request, and answers in its stead if it likes."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str] = []
        self.trouble: Callable[[str, str], Reply | None] = lambda _method, _path: None
        self._versions = itertools.count(1)
        self._authority = trustme.CA()
        self._lock = threading.RLock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are two writes: without it the second waits 40 ms for an ACK.
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
                outer.requests.append((self.command, url.path))
                outer.tokens.append(self.headers.get("Authorization", ""))
                reply = outer.trouble(self.command, url.path)
                if reply is None:
                    kind = self.headers.get("Content-Type", "")
                    with outer._lock:
                        reply = outer._answer(self.command, url.path, body, query, kind)
                text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(text.encode())

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def connection(self) -> dict[str, str]:
        """The `Cluster` property."""
        return {
            "Name": "cluster",
            "Endpoint": f"https://127.0.0.1:{self._server.server_port}",
            "CertificateAuthorityData": base64.b64encode(self._authority.cert_pem.bytes()).decode(),
        }

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something."""
        return [(method, path) for method, path in self.requests if method != "GET"]

    def put(self, path: str, thing: Object, manager: str = "somebody") -> Object:
        """An object that somebody else makes."""
        found = _COLLECTION.fullmatch(path)
        assert found
        metadata = {"name": found["name"], "generation": 1, "uid": f"uid-{next(self._versions)}"}
        if found["namespace"] and found["resource"] != "namespaces":
            metadata["namespace"] = found["namespace"]
        thing = {**thing, "metadata": {**metadata, **thing.get("metadata", {})}}
        self._manage(thing, {}, manager, "Update", {})
        return self._store(path, thing)

    def edit(self, path: str, body: Object, manager: str = "somebody") -> None:
        """A change that somebody else makes."""
        self._patch(path, self.objects[path], body, {"fieldManager": manager}, applied=False)

    def _answer(self, method: str, path: str, body: Any, query: dict[str, str], kind: str) -> Reply:
        found = _COLLECTION.fullmatch(path)
        present = self.objects.get(path)
        if path in _DISCOVERY or (present and method == "GET"):
            return Reply(200, copy.deepcopy(_DISCOVERY.get(path) or present or {}))
        if method == "POST":
            return self._create(path, body, query)
        if method == "GET" and found and found["name"] is None:
            return self._list(path, query)
        if present is None:
            return refusal(404, "NotFound", f'"{path.rpartition("/")[2]}" not found')
        if method == "DELETE":
            return self._delete(path, present, body)
        return self._patch(path, present, body, query, applied="apply" in kind)

    def _list(self, path: str, query: dict[str, str]) -> Reply:
        selector = {part for part in query.get("labelSelector", "").split(",") if part}
        items = [
            thing
            for at, thing in sorted(self.objects.items())
            if at.rpartition("/")[0] == path
            and selector <= {f"{k}={v}" for k, v in thing["metadata"].get("labels", {}).items()}
        ]
        start = int(query.get("continue") or 0)
        end = start + int(query.get("limit", "500"))
        following = str(end) if end < len(items) else ""
        return Reply(200, {"metadata": {"continue": following}, "items": items[start:end]})

    def _create(self, path: str, body: Object, query: dict[str, str]) -> Reply:
        metadata = body["metadata"]
        name = metadata.get("name") or f"{metadata['generateName']}{next(self._versions):05}"
        at = f"{path}/{name}"
        if at in self.objects:
            return refusal(409, "AlreadyExists", f'"{name}" already exists')
        if "dryRun" in query:
            return Reply(201, body)
        return Reply(201, self.put(at, body, query["fieldManager"]))

    def _delete(self, path: str, present: Object, body: Object) -> Reply:
        for guard, value in body.get("preconditions", {}).items():
            if present["metadata"][guard] != value:
                return refusal(409, "Conflict", f"Precondition failed: {guard}")
        if present["metadata"].get("finalizers"):
            present["metadata"]["deletionTimestamp"] = "2026-11-28T20:00:00Z"
            return Reply(200, self._store(path, present))
        del self.objects[path]
        return Reply(200, {"kind": "Status", "status": "Success"})

    def _patch(
        self, path: str, present: Object, body: Object, query: dict[str, str], *, applied: bool
    ) -> Reply:
        metadata = body.get("metadata", {})
        for guard in ("uid", "resourceVersion"):
            if metadata.get(guard, present["metadata"][guard]) != present["metadata"][guard]:
                return refusal(409, "Conflict", "the object has been modified")
        kept = _without_omitted(present, metadata, query["fieldManager"]) if applied else present
        after = _merged(kept, body)
        after["metadata"]["generation"] += "spec" in body
        operation = "Apply" if applied else "Update"
        self._manage(after, present, query["fieldManager"], operation, metadata if applied else {})
        return Reply(200, self._store(path, after))

    def _manage(
        self,
        after: Object,
        before: Object,
        manager: str,
        operation: str,
        applied: Object,
    ) -> None:
        entries = {
            (entry["manager"], entry["operation"]): {
                section: set(fields) for section, fields in entry["fieldsV1"]["f:metadata"].items()
            }
            for entry in after["metadata"].get("managedFields", ())
        }
        own = entries.setdefault((manager, operation), {})
        for section in ("labels", "annotations"):
            old = before.get("metadata", {}).get(section, {})
            new = after["metadata"].get(section, {})
            changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
            for fields in entries.values():
                fields.get(f"f:{section}", set()).difference_update(f"f:{k}" for k in changed)
            # Applying the value that is there already makes one an owner beside the others.
            if owned := (changed | applied.get(section, {}).keys()) & new.keys():
                own.setdefault(f"f:{section}", set()).update(f"f:{key}" for key in owned)
        after["metadata"]["managedFields"] = [
            {
                "manager": name,
                "operation": verb,
                "fieldsV1": {
                    "f:metadata": {
                        section: {name: {} for name in sorted(names)}
                        for section, names in fields.items()
                    }
                },
            }
            for (name, verb), fields in entries.items()
        ]

    def _store(self, path: str, thing: Object) -> Object:
        thing["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[path] = thing
        return thing


def _without_omitted(present: Object, applied: Object, manager: str) -> Object:
    """The object without what the manager applied before, applies no more, and nobody else owns."""
    kept = copy.deepcopy(present)
    entries = kept["metadata"].get("managedFields", ())
    own = [e for e in entries if (e["manager"], e["operation"]) == (manager, "Apply")]
    for section, fields in ((s, f) for e in own for s, f in e["fieldsV1"]["f:metadata"].items()):
        name = section.removeprefix("f:")
        for field in [f for f in fields if f.removeprefix("f:") not in applied.get(name, {})]:
            del fields[field]
            if not any(field in e["fieldsV1"]["f:metadata"].get(section, {}) for e in entries):
                kept["metadata"][name].pop(field.removeprefix("f:"), None)
    return kept


def _merged(present: Any, patch: Any) -> Any:
    """JSON merge patch. See: https://www.rfc-editor.org/rfc/rfc7386"""
    if not isinstance(patch, dict):
        return patch
    merged = copy.deepcopy(present) if isinstance(present, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return {k: v for k, v in merged.items() if v or k not in ("labels", "annotations")}
