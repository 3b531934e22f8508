"""Connections to an issuer's hosts: resolved, checked, verified, and over before the deadline.

The address that was checked is the address that is connected to, so a second look-up cannot turn
the connection elsewhere. TLS is verified: whoever sits in between would otherwise hand in the CA
that IAM is to trust.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import sys
import threading
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from custom_resource import Deadline, Failure, OutOfTime
from root_ca_thumbprint.public_address import address_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from root_ca_thumbprint.issuer_document import Endpoint

Result = TypeVar("Result")

MAX_DOCUMENT = 64 * 1024
# One address of several may be dead: the next must get its turn.
CONNECT_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0

# OpenSSL's verification results that a CA bundle cures.
# https://docs.openssl.org/3.0/man1/openssl-verification-options/
UNKNOWN_CA_CODES = frozenset({2, 18, 19, 20, 21})
# What OpenSSL calls a failed handshake, and what to do about it.
_TLS_CURES = (
    ("certificate required", "; it wants a client certificate, and IAM has none either"),
    ("unrecognized name", "; it serves no such host name"),
    ("excessive message size", "; its certificate chain is above 100 KiB"),
    ("version", "; TLS 1.2 or newer is needed"),
    ("unsupported protocol", "; TLS 1.2 or newer is needed"),
    ("handshake failure", "; it knows no cipher or key of ours, or wants a client certificate"),
    ("no shared cipher", "; it knows no cipher or key of ours"),
)
_NOT_NOW = frozenset({502, 503, 504})
# What a load balancer or a bucket says until what was made a moment ago is known everywhere.
_NOT_KNOWN_YET = frozenset({403, 404, 429, 500})


class NotYet(Failure):
    """The host does not serve at the moment; it may do so soon, as after a cluster's creation."""


class IssuerConnection:
    """Reaches hosts of one issuer under one deadline.

    Args:
        deadline: The end of all connections together.
        ca_bundle: PEM certificates to verify against in place of the system's trust store.
        allow_private: See `address_fault`.
        is_new: Whether the issuer may have been made a moment ago.

    Raises:
        Failure: The bundle is no PEM.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        ca_bundle: str | None,
        allow_private: bool,
        is_new: bool = False,
    ) -> None:
        self._deadline = deadline
        self._borne = _NOT_NOW | (_NOT_KNOWN_YET if is_new else frozenset())
        self._allow_private = allow_private
        self._tls = _tls_context(ca_bundle)

    def get(self, endpoint: Endpoint, path: str) -> tuple[bytes, list[bytes]]:
        """Fetch a document.

        Returns:
            The document, and the certificate chain that the host presents (DER, its own first).

        Raises:
            Failure: It cannot be had, with the reason.
        """
        return self._until_served(lambda: self._get(endpoint, path))

    def presented_chain(self, endpoint: Endpoint) -> list[bytes]:
        """The certificate chain that a host presents (DER, its own first).

        Raises:
            Failure: It cannot be had, with the reason.
        """

        def attempt() -> list[bytes]:
            with self._connected(endpoint) as connection:
                return _presented(connection)

        return self._until_served(attempt)

    def _until_served(self, attempt: Callable[[], Result]) -> Result:
        pause = FIRST_PAUSE
        while True:
            try:
                return attempt()
            except NotYet as not_yet:
                try:
                    self._deadline.sleep(pause)
                except OutOfTime:
                    raise Failure(f"{not_yet}; tried for {self._deadline.seconds:.0f} s") from None
                pause = min(2 * pause, LONGEST_PAUSE)

    def _get(self, endpoint: Endpoint, path: str) -> tuple[bytes, list[bytes]]:
        url = f"https://{endpoint}{path}"
        with self._connected(endpoint) as connection, self._step(f"reading {url}"):
            connection.settimeout(self._deadline.remaining())
            connection.sendall(
                f"GET {path} HTTP/1.1\r\n"
                f"Host: {endpoint}\r\n"
                "Accept: application/json\r\n"
                "Accept-Encoding: identity\r\n"
                "User-Agent: irsa-stack\r\n"
                "Connection: close\r\n\r\n".encode("ascii")
            )
            response = http.client.HTTPResponse(_TimedSocket(connection, self._deadline))  # type: ignore[arg-type]
            response.begin()
            if response.status in self._borne:
                raise NotYet(f"{url} must answer 200, got {response.status}")
            if response.status != http.HTTPStatus.OK:
                redirect = "; redirects are not followed" if response.status // 100 == 3 else ""  # noqa: PLR2004
                raise Failure(f"{url} must answer 200, got {response.status}{redirect}")
            document = response.read(MAX_DOCUMENT + 1)
            if len(document) > MAX_DOCUMENT:
                raise Failure(f"{url} must be at most {MAX_DOCUMENT // 1024} KiB, got more")
            return document, _presented(connection)

    @contextmanager
    def _connected(self, endpoint: Endpoint) -> Iterator[ssl.SSLSocket]:
        with (
            self._tcp(endpoint) as tcp,
            self._step(f"the TLS handshake with {endpoint}"),
        ):
            tcp.settimeout(self._deadline.remaining())
            connection = self._tls.wrap_socket(tcp, server_hostname=endpoint.host)
        with connection:
            yield connection

    def _tcp(self, endpoint: Endpoint) -> socket.socket:
        problems = []
        for family, address in self._checked_addresses(endpoint):
            with self._step(f"connecting to {endpoint}"):
                timeout = min(CONNECT_SECONDS, self._deadline.remaining())
            try:
                tcp = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:  # a host without IPv6
                problems.append(f"{address[0]}: {error.strerror}")
                continue
            try:
                tcp.settimeout(timeout)
                tcp.connect(address)
            except OSError as error:
                tcp.close()
                problems.append(f"{address[0]}: {error.strerror or 'no answer'}")
            else:
                return tcp
        raise NotYet(f"cannot connect to {endpoint}: {', '.join(problems)}")

    def _checked_addresses(self, endpoint: Endpoint) -> list[tuple[int, tuple[Any, ...]]]:
        found = [(entry[0], entry[4]) for entry in self._resolved(endpoint)]
        for _, address in found:
            fault = address_fault(str(address[0]), allow_private=self._allow_private)
            if fault:
                raise Failure(f"{endpoint.host} resolves to {address[0]}, {fault}")
        return found

    def _resolved(self, endpoint: Endpoint) -> list[Any]:
        """The addresses of a host. `getaddrinfo` knows no timeout, so it gets a thread."""
        answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

        def resolve() -> None:
            try:
                answers.put(
                    socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
                )
            except OSError as error:
                answers.put(error)

        with self._step(f"resolving {endpoint.host}"):
            threading.Thread(target=resolve, name="resolver", daemon=True).start()
            try:
                answer = answers.get(timeout=self._deadline.remaining())
            except Empty:
                raise TimeoutError from None
        if isinstance(answer, OSError):
            raise NotYet(f"cannot resolve {endpoint.host}: {answer.strerror}")
        return answer

    @contextmanager
    def _step(self, step: str) -> Iterator[None]:
        """Turn whatever a step of the connection raises into a reason for people."""
        try:
            yield
        except (TimeoutError, OutOfTime):
            raise OutOfTime(
                f"{step} took too long: gave up after {self._deadline.seconds:.0f} s"
            ) from None
        except ssl.SSLCertVerificationError as error:
            cure = (
                "; give the CA that it ends in as a CA bundle"
                if error.verify_code in UNKNOWN_CA_CODES
                else ""
            )
            raise Failure(
                f"{step} failed: its certificate is refused: {error.verify_message}{cure}"
            ) from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError) as error:
            raise NotYet(f"{step} failed: the connection was cut") from error
        except ssl.SSLError as error:
            reason = (error.reason or "no TLS").replace("_", " ").lower()
            cure = next((cure for words, cure in _TLS_CURES if words in reason), "")
            raise Failure(f"{step} failed: {reason}{cure}") from None
        except http.client.HTTPException:
            raise Failure(f"{step} failed: the answer is no HTTP, or broke off") from None
        except OSError as error:
            raise NotYet(f"{step} failed: {error.strerror or type(error).__name__}") from error


class _TimedSocket(io.RawIOBase):
    """What `http.client` reads from: each read gets the time that is left, not a time of its own.

    A server that sends one byte a second keeps within any timeout of a single read.
    """

    def __init__(self, connection: ssl.SSLSocket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a writable buffer has no name before 3.12
        self._connection.settimeout(self._deadline.remaining())
        return self._connection.recv_into(buffer)


def _tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    # Bundles name their CAs in comments, in any script; OpenSSL takes ASCII only.
    bundle = ca_bundle.encode("ascii", "replace").decode() if ca_bundle else None
    try:
        context = ssl.create_default_context(cadata=bundle)
    except (ssl.SSLError, ValueError):
        raise Failure(
            "the CA bundle must be certificates in PEM, and is not; pass the file's content"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # One rule on every version: 3.13 made its defaults stricter than what many private CAs issue,
    # and lets an intermediate CA be the anchor. https://docs.python.org/3/library/ssl.html
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


def _presented(connection: ssl.SSLSocket) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return connection.get_unverified_chain()
    # The same, before it became public. https://docs.python.org/3/whatsnew/3.13.html#ssl
    certificates = connection._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in certificates]
