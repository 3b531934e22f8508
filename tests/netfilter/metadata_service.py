"""A stand-in for EC2 instance metadata, and a client that tries to get the node's credentials."""

import http.client
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.netfilter.network_namespace import NetworkNamespace

CREDENTIALS = "/latest/meta-data/iam/security-credentials/"
PATIENCE = 1.0
"""Seconds that a client waits. An answer takes a few milliseconds here."""


class WebServer(ThreadingHTTPServer):
    """A web server at port 80 of one address inside a namespace."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, namespace: NetworkNamespace, address: str, handler: type[BaseHTTPRequestHandler]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        namespace.call(super().__init__, (address, 80), handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class MetadataService:
    """Metadata, version 1 and 2, with the options of a launch template."""

    def __init__(self, namespace: NetworkNamespace, *addresses: str) -> None:
        self.http_tokens = "optional"
        self.hop_limit = 2
        service = self

        class Handler(Quiet):
            def do_PUT(self) -> None:
                # The hop limit is the time to live of the packets that carry the token.
                if self.connection.family == socket.AF_INET6:
                    option = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
                else:
                    option = (socket.IPPROTO_IP, socket.IP_TTL)
                self.connection.setsockopt(*option, service.hop_limit)
                self.answer(200, "token")

            def do_GET(self) -> None:
                token = self.headers["X-aws-ec2-metadata-token"]
                if token == "token" or service.http_tokens == "optional":
                    self.answer(200, "node-role")
                else:
                    self.answer(401, "")

        self._servers = ExitStack()
        for address in addresses:
            self._servers.enter_context(WebServer(namespace, address, Handler))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()


class Quiet(BaseHTTPRequestHandler):
    """A handler that answers anything and logs nothing."""

    timeout = 5

    def do_GET(self) -> None:
        self.answer(200, "here")

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Attempt:
    """What came of asking for the node's credentials."""

    outcome: str
    """`open`, `401`, `reset`, or `silence`."""
    seconds: float


def take_credentials(
    namespace: NetworkNamespace, address: str, version: str, patience: float
) -> Attempt:
    """Ask as a pod's SDK would, with metadata version `v1` or `v2`."""
    started = time.monotonic()
    outcome = _outcome(namespace, address, version, patience)
    return Attempt(outcome, time.monotonic() - started)


def reaches(namespace: NetworkNamespace, address: str) -> bool:
    """Whether anything answers at port 80 of *address*."""
    try:
        return _ask(namespace, address, ("GET", "/", {}), PATIENCE)[0] == 200
    except OSError:
        return False


def _outcome(namespace: NetworkNamespace, address: str, version: str, patience: float) -> str:
    try:
        headers = {}
        if version == "v2":
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
            _, token = _ask(namespace, address, ("PUT", "/latest/api/token", lifetime), patience)
            headers = {"X-aws-ec2-metadata-token": token}
        status, body = _ask(namespace, address, ("GET", CREDENTIALS, headers), patience)
    except TimeoutError:
        return "silence"
    except ConnectionError:
        return "reset"
    return "open" if body == "node-role" else str(status)


def _ask(
    namespace: NetworkNamespace,
    address: str,
    request: tuple[str, str, dict[str, str]],
    patience: float,
) -> tuple[int, str]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = http.client.HTTPConnection(address)
    connection.sock = namespace.call(socket.socket, family, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(patience)
        connection.sock.connect((address, 80))
        method, path, headers = request
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
