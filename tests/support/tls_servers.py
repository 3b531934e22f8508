"""Issuers on loopback, with real TLS: those that serve, and all the ways not to.

A server listens on a free port of 127.0.0.1 (or ::1). `resolves` makes a host name lead there, so
that an issuer URL needs no port.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import warnings
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.certificate_chains import Chain

Response = bytes | list[bytes]


def http_response(body: bytes | str, status: str = "200 OK", headers: str = "") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n{headers}\r\n"
    ).encode() + content


def document(issuer_url: str, **changes: object) -> bytes:
    """The discovery document of an EKS issuer; a change to None takes the field away."""
    fields = {
        "issuer": issuer_url,
        "jwks_uri": f"{issuer_url}/keys",
        "response_types_supported": ["id_token"],
        **changes,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


class Server:
    """Accepts connections and gives each to `behave`, in a thread of its own."""

    def __init__(
        self, behave: Callable[[socket.socket], None], address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._behave = behave
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((address, port))
        self._listener.listen(16)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.connections = 0
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        # A thread in accept() does not notice a close; a shutdown wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        with connection, contextlib.suppress(OSError):
            self._behave(connection)


def serving(
    chain: Chain,
    *responses: Response,
    address: str = "127.0.0.1",
    port: int = 0,
    requests: list[bytes] | None = None,
    pause: float = 0.0,
    spoil: Callable[[ssl.SSLContext], None] = lambda _: None,
) -> Server:
    """A TLS server that gives the responses in turn, and the last one for ever.

    Args:
        chain: What it presents.
        responses: Raw HTTP; a list is sent piece by piece with a pause between.
        address: Where it listens.
        port: And on which port; 0 takes a free one.
        requests: Collects what clients asked, if given.
        pause: Seconds between the pieces of a response.
        spoil: Changes the server's side of TLS.
    """
    context = _server_context(chain)
    spoil(context)
    left = list(responses)
    # `behave` waits on the server's end, and the server is made with `behave`.
    made: list[Server] = []

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            request = b""
            while b"\r\n\r\n" not in request:
                received = tls.recv(4096)
                if not received:
                    return
                request += received
            if requests is not None:
                requests.append(request)
            response = left.pop(0) if len(left) > 1 else left[0]
            for piece in [response] if isinstance(response, bytes) else response:
                tls.sendall(piece)
                if pause and made[0].closed.wait(pause):
                    return

    made.append(Server(behave, address, port))
    return made[0]


def tls_1_1_only(chain: Chain) -> Server:
    context = _server_context(chain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    def behave(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    return Server(behave)


def plain_http() -> Server:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(http_response("this is no TLS", "400 Bad Request"))

    return Server(behave)


def hanging_up() -> Server:
    return Server(lambda connection: connection.close())


def silent() -> Server:
    made: list[Server] = []
    made.append(Server(lambda _: made[0].closed.wait(20) and None))
    return made[0]


def one_byte_a_second_of_handshake() -> Server:
    made: list[Server] = []

    def behave(connection: socket.socket) -> None:
        # The head of a TLS record of 16 KiB, and then its content.
        for byte in b"\x16\x03\x03\x40\x00" + bytes(100):
            connection.sendall(bytes([byte]))
            if made[0].closed.wait(1):
                return

    made.append(Server(behave))
    return made[0]


@contextlib.contextmanager
def nobody() -> Iterator[tuple[str, int]]:
    """A port that refuses connections, and stays free."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()


@contextlib.contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """A port that answers nothing at all, as a dead host: its queue of connections is full."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


class Resolver:
    """Stands in for `socket.getaddrinfo`: hosts under .test lead where `hosts` says."""

    def __init__(self) -> None:
        self.hosts: dict[str, Sequence[tuple[str, int]]] = {}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        if not host.endswith(".test"):
            return self._real(host, port, *arguments, **options)
        self.asked.append(host)
        if host not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, real_port or port, 0, 0)
                if ":" in address
                else (address, real_port or port),
            )
            for address, real_port in self.hosts[host]
        ]


def openssl_thumbprint(host: str, address: tuple[str, int]) -> str:
    """What IAM's guide has people type: the SHA-1 of the last certificate displayed."""
    connect = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
    shown = subprocess.run(
        ["openssl", "s_client", "-servername", host, "-showcerts", "-connect", connect],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout
    last = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", shown, re.DOTALL)[
        -1
    ]
    fingerprint = subprocess.run(
        ["openssl", "x509", "-fingerprint", "-sha1", "-noout"],
        input=last,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout
    return fingerprint.partition("=")[2].strip().replace(":", "").lower()


def _server_context(chain: Chain) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(chain.pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context
