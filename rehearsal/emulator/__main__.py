"""Serve ministack with our additions: `python -m rehearsal.emulator SETTINGS`."""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ministack import app as ministack_app

from rehearsal.emulator import (
    asynchronous_events,
    clusters,
    condition_keys,
    custom_resources,
    functions,
    refused_changes,
    resource_types,
    settling,
    slowness,
    web_identity,
)
from rehearsal.emulator.settings import Settings

PATCHED_VERSION = "1.5.33"

_OIDC_HOST = re.compile(r"oidc\.eks\.[a-z0-9-]+\.amazonaws\.com(:\d+)?")
_CUSTOM_RESOURCE_ANSWERS = "/_ministack/cfn-response/"


class Front:
    """The way in: what AWS serves on hosts of their own comes before the emulator's routes."""

    def __init__(self, emulator: Any) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request of the ASGI protocol."""
        if scope["type"] != "http":
            await self._emulator(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if _OIDC_HOST.fullmatch(host):
            document = clusters.oidc_document(scope["path"]) if scope["method"] == "GET" else None
            await _respond(send, 404 if document is None else 200, document)
        elif scope["path"] == slowness.PATH:
            slowness.read(await _body(receive))
            await _respond(send, 200)
        elif _is_typed_answer(scope, headers):
            # As S3 answers a presigned PUT whose Content-Type was not signed.
            await _respond(send, 403)
        else:
            await self._emulator(clusters.name_reviewed_cluster(scope), receive, send)


def main() -> None:
    """Register the additions, then serve until stopped."""
    found = version("ministack")
    if found != PATCHED_VERSION:
        sys.exit(f"ministack must be {PATCHED_VERSION}, got {found}; run: make test-e2e")
    settings = Settings.read(Path(sys.argv[1]))
    resource_types.install()
    custom_resources.install()
    asynchronous_events.install()
    refused_changes.install()
    clusters.install(settings)
    settling.install()
    condition_keys.install()
    web_identity.install(settings)
    functions.install(settings)
    ministack_app.app = Front(ministack_app.app)
    # ministack reads the command line for options of its own.
    del sys.argv[1:]
    ministack_app.main()


def _is_typed_answer(scope: Any, headers: dict[bytes, bytes]) -> bool:
    return (
        scope["method"] == "PUT"
        and scope["path"].startswith(_CUSTOM_RESOURCE_ANSWERS)
        and bool(headers.get(b"content-type"))
    )


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _respond(send: Any, status: int, document: object = None) -> None:
    body = b"" if document is None else json.dumps(document).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main()
