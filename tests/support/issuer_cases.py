"""Every kind of issuer that the thumbprint function may meet, and what it must say to it.

Each case has a host name of its own, so that many can be served at once.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support import certificate_chains as chains
from tests.support import tls_servers as servers
from tests.support.tls_servers import document, http_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.certificate_chains import Chain
    from tests.support.tls_servers import Resolver, Server

EKS_PATH = "/id/0123456789ABCDEF0123456789ABCDEF"


@dataclass
class Issuer:
    """A case while it is served: where it is, and what is expected of it."""

    host: str
    ca_bundle: str | None = None
    allow_private: bool = True
    thumbprints: list[str] = field(default_factory=list)
    server: Server | None = None
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.host}{EKS_PATH}"

    @property
    def properties(self) -> dict[str, Any]:
        """As the custom resource's event carries them."""
        properties: dict[str, Any] = {"IssuerUrl": self.url}
        if self.ca_bundle:
            properties["CaBundle"] = self.ca_bundle
        if self.allow_private:
            properties["AllowPrivate"] = "true"
        return properties


@dataclass(frozen=True)
class Case:
    """A kind of issuer: how to serve it, and the pattern of the reason if it must be refused."""

    name: str
    serve: Callable[[Issuer, Resolver, contextlib.ExitStack], None]
    refused: str | None = None

    @property
    def host(self) -> str:
        return f"{self.name.replace('_', '-')}.test"

    @contextlib.contextmanager
    def served(self, resolver: Resolver) -> Iterator[Issuer]:
        issuer = Issuer(self.host)
        with contextlib.ExitStack() as stack:
            self.serve(issuer, resolver, stack)
            yield issuer

    def reason(self, issuer: Issuer) -> str:
        """The pattern of the reason, with the issuer's own names in it."""
        assert self.refused is not None
        return (
            self.refused.replace("{host}", re.escape(issuer.host))
            .replace("{url}", re.escape(issuer.url))
            .replace("{document}", re.escape(f"{issuer.url}/.well-known/openid-configuration"))
        )


def _chain_case(recipe: Callable[[str], Chain], **options: Any) -> Case:
    return Case(recipe.__name__, functools.partial(_serve, recipe=recipe, **options))


def _serve(
    issuer: Issuer,
    resolver: Resolver,
    stack: contextlib.ExitStack,
    *,
    recipe: Callable[[str], Chain] = chains.acm_now,
    address: str = "127.0.0.1",
    responses: Callable[[Issuer], list[servers.Response]] | None = None,
    pause: float = 0.0,
    trusted: bool = True,
) -> None:
    chain = recipe(issuer.host)
    replies = responses(issuer) if responses else [http_response(document(issuer.url))]
    server = servers.serving(
        chain, *replies, address=address, requests=issuer.requests, pause=pause
    )
    issuer.server = stack.enter_context(server)
    issuer.ca_bundle = chain.anchor.pem if trusted else None
    issuer.thumbprints = [chain.top.thumbprint]
    resolver.hosts[issuer.host] = [server.address]


def _answers(name: str, make: Callable[[Issuer], Any], refused: str | None = None) -> Case:
    """A case that lies in the HTTP answer alone."""

    def responses(issuer: Issuer) -> list[servers.Response]:
        made = make(issuer)
        return made if isinstance(made, list) else [made]

    return Case(name, functools.partial(_serve, responses=responses), refused)


def _keys_on_another_host(issuer: Issuer, resolver: Resolver, stack: contextlib.ExitStack) -> None:
    keys_host = f"keys.{issuer.host}"
    keys_chain = chains.one_intermediate(keys_host)
    keys_server = stack.enter_context(servers.serving(keys_chain, b""))
    resolver.hosts[keys_host] = [keys_server.address]
    _serve(
        issuer,
        resolver,
        stack,
        responses=lambda issuer: [
            http_response(document(issuer.url, jwks_uri=f"https://{keys_host}/keys"))
        ],
    )
    issuer.thumbprints.append(keys_chain.top.thumbprint)


def _keys_nowhere(issuer: Issuer, resolver: Resolver, stack: contextlib.ExitStack) -> None:
    _serve(
        issuer,
        resolver,
        stack,
        responses=lambda issuer: [
            http_response(document(issuer.url, jwks_uri="https://keys.test/keys"))
        ],
    )
    resolver.hosts["keys.test"] = [("169.254.169.254", 443)]


def _at(
    make: Callable[[], contextlib.AbstractContextManager[Any]],
) -> Callable[[Issuer, Resolver, contextlib.ExitStack], None]:
    """Served by something that never gets as far as a certificate."""

    def serve(issuer: Issuer, resolver: Resolver, stack: contextlib.ExitStack) -> None:
        made = stack.enter_context(make())
        resolver.hosts[issuer.host] = [getattr(made, "address", made)]

    return serve


def _resolves_to(address: str) -> Callable[[Issuer, Resolver, contextlib.ExitStack], None]:
    def serve(issuer: Issuer, resolver: Resolver, stack: contextlib.ExitStack) -> None:
        _serve(issuer, resolver, stack)
        resolver.hosts[issuer.host] = [(address, 443)]
        issuer.allow_private = False

    return serve


def _dead_then_alive(
    dead: Callable[[], contextlib.AbstractContextManager[Any]],
) -> Callable[[Issuer, Resolver, contextlib.ExitStack], None]:
    def serve(issuer: Issuer, resolver: Resolver, stack: contextlib.ExitStack) -> None:
        _serve(issuer, resolver, stack)
        (alive,) = resolver.hosts[issuer.host]
        resolver.hosts[issuer.host] = [stack.enter_context(dead()), alive]

    return serve


def _tls_1_1_only() -> Server:
    return servers.tls_1_1_only(chains.acm_now("tls-1-1.test"))


ORDERED = [
    *(_chain_case(recipe) for recipe in chains.ORDERED),
    Case("ipv6", functools.partial(_serve, address="::1")),
]
UNORDERED = [_chain_case(recipe) for recipe in chains.UNORDERED]
TAKEN = [
    _answers(
        "served_at_the_third_attempt",
        lambda issuer: [
            http_response("", "503 Service Unavailable"),
            http_response("", "503 Service Unavailable"),
            http_response(document(issuer.url)),
        ],
    ),
    _answers(
        "chunked_document",
        lambda issuer: (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + f"{len(document(issuer.url)):x}\r\n".encode()
            + document(issuer.url)
            + b"\r\n0\r\n\r\n"
        ),
    ),
    _answers(
        "document_without_its_length",
        lambda issuer: b"HTTP/1.0 200 OK\r\n\r\n" + document(issuer.url),
    ),
    _answers(
        "document_of_64_kib",
        lambda issuer: http_response(document(issuer.url).ljust(64 * 1024)),
    ),
    Case("keys_on_another_host", _keys_on_another_host),
    Case("first_address_refuses_second_serves", _dead_then_alive(servers.nobody)),
]
REFUSED = [
    Case(
        "expired_intermediate",
        functools.partial(_serve, recipe=chains.expired_intermediate),
        r"the TLS handshake with {host} failed: its certificate is refused: "
        "certificate has expired",
    ),
    Case(
        "expired_leaf",
        functools.partial(_serve, recipe=chains.expired_leaf),
        r"the TLS handshake with {host} failed: its certificate is refused: "
        "certificate has expired",
    ),
    Case(
        "wrong_host_name",
        functools.partial(_serve, recipe=chains.wrong_host_name),
        r"the TLS handshake with {host} failed: its certificate is refused: Hostname mismatch, "
        r"certificate is not valid for '{host}'\.?",
    ),
    Case(
        "unknown_ca",
        functools.partial(_serve, trusted=False),
        r"the TLS handshake with {host} failed: its certificate is refused: unable to get local "
        r"issuer certificate; give the CA that it ends in as a CA bundle",
    ),
    Case(
        "missing_intermediate",
        functools.partial(_serve, recipe=chains.missing_intermediate),
        r"the TLS handshake with {host} failed: its certificate is refused: unable to get local "
        r"issuer certificate; give the CA that it ends in as a CA bundle",
    ),
    Case(
        "tls_1_1_only",
        _at(_tls_1_1_only),
        r"the TLS handshake with {host} failed: .*protocol.*; TLS 1\.2 or newer is needed",
    ),
    Case(
        "no_tls_at_all",
        _at(servers.plain_http),
        r"the TLS handshake with {host} failed: wrong version number; "
        r"TLS 1\.2 or newer is needed",
    ),
    _answers(
        "redirect",
        lambda issuer: http_response("", "302 Found", f"Location: {issuer.url}/elsewhere\r\n"),
        r"{document} must answer 200, got 302; redirects are not followed",
    ),
    _answers(
        "not_found",
        lambda _: http_response("s3cr3t", "404 Not Found"),
        r"{document} must answer 200, got 404",
    ),
    _answers(
        "broken",
        lambda _: http_response("s3cr3t", "500 Internal Server Error"),
        r"{document} must answer 200, got 500",
    ),
    _answers(
        "no_http",
        lambda _: b"s3cr3t\r\n\r\n",
        r"reading {document} failed: the answer is no HTTP, or broke off",
    ),
    _answers(
        "invalid_json",
        lambda _: http_response("{s3cr3t"),
        r"the document at {document} must be JSON, and is not",
    ),
    _answers(
        "document_cut_short",
        lambda issuer: http_response(document(issuer.url))[:-9],
        r"(the document at {document} must be JSON, and is not"
        r"|reading {document} failed: the answer is no HTTP, or broke off)",
    ),
    _answers(
        "not_even_text",
        lambda _: http_response(b'"\xff\xfe s3cr3t"'),
        r"the document at {document} must be JSON, and is not",
    ),
    _answers(
        "deeply_nested_json",
        lambda _: http_response("[" * 60_000),
        r"the document at {document} must be JSON, and is not",
    ),
    _answers(
        "not_an_object",
        lambda _: http_response(json.dumps(["s3cr3t"])),
        r"the document at {document} must be a JSON object, got another kind of value",
    ),
    _answers(
        "document_over_the_limit",
        lambda issuer: http_response(document(issuer.url).ljust(64 * 1024 + 1)),
        r"{document} must be at most 64 KiB, got more",
    ),
    _answers(
        "another_issuer",
        lambda _: http_response(document("https://s3cr3t.test/id/0")),
        r"the document at {document} must name '{url}' as its issuer, and does not",
    ),
    _answers(
        "no_jwks_uri",
        lambda issuer: http_response(document(issuer.url, jwks_uri=None)),
        r"the document at {document} must have a jwks_uri that starts with https://, and has not",
    ),
    _answers(
        "jwks_uri_without_tls",
        lambda issuer: http_response(document(issuer.url, jwks_uri="http://s3cr3t.test/keys")),
        r"the document at {document} must have a jwks_uri that starts with https://, and has not",
    ),
    _answers(
        "jwks_uri_on_an_ip",
        lambda issuer: http_response(document(issuer.url, jwks_uri="https://169.254.169.254/")),
        r"the jwks_uri in the document at {document} must have a host name, not an address: "
        r"a certificate is for a name",
    ),
    Case(
        "jwks_uri_on_a_forbidden_host",
        _keys_nowhere,
        r"keys\.test resolves to 169\.254\.169\.254, where no issuer can be",
    ),
    *(
        Case(
            f"resolves_to_{name}",
            _resolves_to(address),
            rf"{{host}} resolves to {re.escape(address)}, "
            r"which is not globally routable; allow private addresses if that is intended",
        )
        for name, address in [
            ("loopback", "127.0.0.1"),
            ("a_private_network", "10.0.0.1"),
            ("loopback_in_ipv6", "::ffff:127.0.0.1"),
        ]
    ),
    *(
        Case(
            f"resolves_to_{name}",
            _resolves_to(address),
            rf"{{host}} resolves to {re.escape(address)}, where no issuer can be",
        )
        for name, address in [
            ("instance_metadata", "169.254.169.254"),
            ("instance_metadata_over_ipv6", "fd00:ec2::254"),
        ]
    ),
]
# These take all the time that they are given.
SLOW = [
    Case(
        "silent",
        _at(servers.silent),
        r"the TLS handshake with {host} took too long: gave up after \d+ s",
    ),
    Case(
        "one_byte_a_second_of_handshake",
        _at(servers.one_byte_a_second_of_handshake),
        r"the TLS handshake with {host} took too long: gave up after \d+ s",
    ),
    Case(
        "one_byte_a_second_of_document",
        functools.partial(
            _serve,
            responses=lambda issuer: [
                [bytes([byte]) for byte in http_response(document(issuer.url))]
            ],
            pause=1,
        ),
        r"reading {document} took too long: gave up after \d+ s",
    ),
    Case(
        "interim_answers_for_ever",
        functools.partial(
            _serve, responses=lambda _: [[b"HTTP/1.1 100 Continue\r\n\r\n"] * 999], pause=0.01
        ),
        r"reading {document} took too long: gave up after \d+ s",
    ),
    Case(
        "refused",
        _at(servers.nobody),
        r"cannot connect to {host}: 127\.0\.0\.1: Connection refused; tried for \d+ s",
    ),
    Case(
        "black_hole",
        _at(servers.black_hole),
        r"(cannot connect to {host}: 127\.0\.0\.1: no answer; tried for \d+ s"
        r"|connecting to {host} took too long: gave up after \d+ s)",
    ),
    Case(
        "unresolvable",
        lambda *_: None,
        r"cannot resolve {host}: Name or service not known; tried for \d+ s",
    ),
    Case(
        "hangs_up",
        _at(servers.hanging_up),
        r"the TLS handshake with {host} failed: the connection was cut; "
        r"tried for \d+ s",
    ),
    Case(
        "always_503",
        functools.partial(
            _serve, responses=lambda _: [http_response("s3cr3t", "503 Service Unavailable")]
        ),
        r"{document} must answer 200, got 503; tried for \d+ s",
    ),
]
QUICK = [*ORDERED, *UNORDERED, *TAKEN, *REFUSED]
