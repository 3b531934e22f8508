"""CloudFormation's side of a custom resource: events, a Lambda context, a ResponseURL to PUT to."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

STACK_ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/app/5f0c3a10-0000-11ef-8f5c-0a0b"


@dataclass
class Context:
    """A Lambda context whose function has `seconds` to live from now."""

    seconds: float = 60.0
    log_group_name: str = "/aws/lambda/function"
    log_stream_name: str = "2026/11/23/[$LATEST]0123"
    _started: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return int((self._started + self.seconds - time.monotonic()) * 1000)


@dataclass(frozen=True)
class Put:
    """One request that reached the ResponseURL."""

    headers: dict[str, str]
    body: bytes

    @property
    def response(self) -> dict[str, Any]:
        return json.loads(self.body)


class ResponseUrl:
    """A pre-signed URL on loopback: records each PUT and answers with the scripted statuses."""

    def __init__(self, *statuses: int) -> None:
        self.puts: list[Put] = []
        self._statuses = list(statuses)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.puts.append(Put(headers, body))
                self.send_response(outer._statuses.pop(0) if outer._statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/key?X-Amz-Signature=s3cr3t"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.002}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def responses(self) -> list[dict[str, Any]]:
        return [put.response for put in self.puts]

    @property
    def only_response(self) -> dict[str, Any]:
        assert len(self.puts) == 1, f"CloudFormation was answered {len(self.puts)} times"
        return self.puts[0].response


def event(
    request_type: str,
    response_url: str,
    properties: dict[str, Any] | None = None,
    *,
    physical_id: str | None = None,
    old_properties: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An event as CloudFormation sends it to the function of a `ServiceToken`."""
    service_token = "arn:aws:lambda:eu-west-1:111122223333:function:app"
    made: dict[str, Any] = {
        "RequestType": request_type,
        "ResponseURL": response_url,
        "StackId": STACK_ID,
        "RequestId": "b6b5e7b1-7d5f-4b1c-9d41-1a2b3c4d5e6f",
        "ResourceType": "Custom::Thing",
        "LogicalResourceId": "Thing",
        "ResourceProperties": {
            "ServiceToken": service_token,
            "ServiceTimeout": "180",
            **(properties or {}),
        },
    }
    if request_type != "Create":
        made["PhysicalResourceId"] = "the-thing" if physical_id is None else physical_id
    if request_type == "Update":
        made["OldResourceProperties"] = {
            "ServiceToken": service_token,
            "ServiceTimeout": "180",
            **(old_properties or {}),
        }
    return made
