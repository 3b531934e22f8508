from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from custom_resource import Deadline, Failure, OutOfTime
from root_ca_thumbprint import issuer_connection
from root_ca_thumbprint.issuer_connection import IssuerConnection
from root_ca_thumbprint.issuer_document import Endpoint
from tests.support import certificate_chains as chains
from tests.support import tls_servers as servers
from tests.support.tls_servers import http_response

HOST = "issuer.test"
ENDPOINT = Endpoint(HOST)


@pytest.fixture(scope="module")
def chain():
    return chains.acm_now(HOST)


def connection(chain, *, seconds=10, allow_private=True, is_new=False):
    return IssuerConnection(
        Deadline(seconds),
        ca_bundle=chain.anchor.pem,
        allow_private=allow_private,
        is_new=is_new,
    )


def test_presents_the_chain_as_it_was_sent(chain, resolver):
    with servers.serving(chain, b"") as server:
        resolver.hosts[HOST] = [server.address]
        assert connection(chain).presented_chain(ENDPOINT) == chain.der


def test_fetches_the_document_and_the_chain_over_one_connection(chain, resolver):
    with servers.serving(chain, http_response("{}")) as server:
        resolver.hosts[HOST] = [server.address]
        assert connection(chain).get(ENDPOINT, "/path") == (b"{}", chain.der)
        assert server.connections == 1


def test_asks_for_the_path_of_the_host_as_it_is(chain, resolver):
    requests = []
    with servers.serving(chain, http_response("{}"), requests=requests) as server:
        resolver.hosts[HOST] = [server.address]
        connection(chain).get(ENDPOINT, "/id/0123ABC/.well-known/openid-configuration")
    assert requests[0].decode().split("\r\n") == [
        "GET /id/0123ABC/.well-known/openid-configuration HTTP/1.1",
        "Host: issuer.test",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "User-Agent: irsa-stack",
        "Connection: close",
        "",
        "",
    ]


def test_connects_to_the_address_that_was_checked(chain, monkeypatch):
    """A name that changes between check and connection is looked up only once."""
    answers = ["127.0.0.1", "169.254.169.254"]
    with servers.serving(chain, http_response("{}")) as server:
        port = server.address[1]

        def rebinding(*_arguments, **_options):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        connection(chain).get(ENDPOINT, "/")
    assert answers == ["169.254.169.254"]


def test_checks_the_address_again_at_each_attempt(chain, resolver):
    class Rebinding(dict):
        def __getitem__(self, host):
            return self.pop(host) if len(resolver.asked) < 2 else [("169.254.169.254", 443)]

        def __contains__(self, host):
            return True

    with servers.nobody() as nobody:
        resolver.hosts = Rebinding({HOST: [nobody]})
        with pytest.raises(Failure, match=r"resolves to 169\.254\.169\.254, where no issuer can"):
            connection(chain).presented_chain(ENDPOINT)


@pytest.mark.parametrize("order", [1, -1])
def test_one_address_that_must_not_be_reached_spoils_the_host(chain, resolver, order):
    resolver.hosts[HOST] = [("52.94.236.248", 443), ("10.0.0.1", 443)][::order]
    with pytest.raises(Failure, match=r"resolves to 10\.0\.0\.1, which is not globally routable"):
        connection(chain, allow_private=False).presented_chain(ENDPOINT)


def test_no_connection_is_tried_to_an_address_that_is_refused(chain, resolver):
    with servers.serving(chain, http_response("{}")) as server:
        resolver.hosts[HOST] = [server.address]
        with pytest.raises(Failure, match="not globally routable"):
            connection(chain, allow_private=False).get(ENDPOINT, "/")
        assert server.connections == 0


@pytest.mark.parametrize("dead", [servers.nobody, servers.black_hole])
def test_a_dead_address_gives_way_to_the_next(chain, resolver, dead, monkeypatch):
    monkeypatch.setattr(issuer_connection, "CONNECT_SECONDS", 0.2)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.serving(chain, http_response("{}")))
        resolver.hosts[HOST] = [stack.enter_context(dead()), server.address]
        assert connection(chain).get(ENDPOINT, "/")[0] == b"{}"


def test_a_host_without_ipv6_takes_the_ipv4_address(chain, resolver, monkeypatch):
    real = socket.socket

    class WithoutIpv6(real):
        def __init__(self, family=-1, *arguments, **options):
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *arguments, **options)

    with servers.serving(chain, http_response("{}")) as server:
        resolver.hosts[HOST] = [("::1", 443), server.address]
        monkeypatch.setattr(socket, "socket", WithoutIpv6)
        assert connection(chain).get(ENDPOINT, "/")[0] == b"{}"


def test_says_of_each_address_why_it_cannot_be_reached(chain, resolver):
    with servers.nobody() as one, servers.nobody() as another:
        resolver.hosts[HOST] = [one, another]
        with pytest.raises(Failure) as failure:
            connection(chain, seconds=0.5).presented_chain(ENDPOINT)
    assert str(failure.value) == (
        "cannot connect to issuer.test: 127.0.0.1: Connection refused, "
        "127.0.0.1: Connection refused; tried for 0 s"
    )


def test_waits_for_a_name_that_appears_later(chain, resolver):
    with servers.serving(chain, http_response("{}")) as server:
        timer = threading.Timer(0.4, resolver.hosts.update, [{HOST: [server.address]}])
        timer.start()
        assert connection(chain).get(ENDPOINT, "/")[0] == b"{}"
    assert len(resolver.asked) >= 2


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_an_issuer_that_was_made_a_moment_ago_may_not_be_known_everywhere(chain, resolver, status):
    """D4 of the audit against AWS."""
    early = http_response("no", status=f"{status} No")
    with (
        servers.serving(chain, early) as not_yet,
        servers.serving(chain, http_response("{}")) as ok,
    ):
        resolver.hosts[HOST] = [not_yet.address]
        timer = threading.Timer(0.4, resolver.hosts.update, [{HOST: [ok.address]}])
        timer.start()
        assert connection(chain, is_new=True).get(ENDPOINT, "/")[0] == b"{}"


def test_an_issuer_of_old_that_is_not_found_is_told_at_once(chain, resolver):
    with servers.serving(chain, http_response("no", status="404 Not Found")) as server:
        resolver.hosts[HOST] = [server.address]
        with pytest.raises(Failure, match="must answer 200, got 404"):
            connection(chain).get(ENDPOINT, "/")
        assert server.connections == 1


def _wants_a_client_certificate(context):
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED


def _serves_another_name(context):
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def _knows_no_common_cipher(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CAMELLIA256-SHA384:DHE-PSK-AES256-CBC-SHA384:PSK")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_wants_a_client_certificate, "it wants a client certificate"),
        (_serves_another_name, "it serves no such host name"),
        (_knows_no_common_cipher, "it knows no cipher or key of ours"),
    ],
)
def test_a_handshake_that_fails_leads_to_its_cause(chain, resolver, spoil, told):
    """F15: "TLS 1.2 or newer is needed" stood behind all of them."""
    with servers.serving(chain, http_response("{}"), spoil=spoil) as server:
        resolver.hosts[HOST] = [server.address]
        with pytest.raises(Failure, match=told) as failure:
            connection(chain, seconds=3).get(ENDPOINT, "/")
    assert "TLS 1.2" not in str(failure.value)


def test_a_resolver_that_hangs_is_given_up_at_the_deadline(chain, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20))
    started = time.monotonic()
    with pytest.raises(OutOfTime, match=r"^resolving issuer\.test took too long"):
        connection(chain, seconds=0.2).presented_chain(ENDPOINT)
    assert time.monotonic() - started < 2
    released.set()


def test_verifies_against_the_systems_trust_store_by_default():
    made = IssuerConnection(Deadline(1), ca_bundle=None, allow_private=False)
    assert made._tls.cert_store_stats()["x509_ca"] > 10


def test_a_bundle_takes_the_place_of_the_trust_store(chain):
    assert connection(chain)._tls.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_a_bundle_may_hold_an_intermediate_ca(chain, resolver):
    with servers.serving(chain, b"") as server:
        resolver.hosts[HOST] = [server.address]
        bundle = chain.presented[1].pem
        made = IssuerConnection(Deadline(10), ca_bundle=bundle, allow_private=True)
        assert made.presented_chain(ENDPOINT) == chain.der


def test_a_bundle_may_have_comments_in_any_script(chain):
    bundle = f"# Türktrust\n{chain.anchor.pem}"
    made = IssuerConnection(Deadline(1), ca_bundle=bundle, allow_private=False)
    assert made._tls.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    "bundle",
    [
        "not a certificate",
        "é",
        " ",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_refuses_a_bundle_that_is_no_pem(bundle):
    with pytest.raises(Failure, match="the CA bundle must be certificates in PEM"):
        IssuerConnection(Deadline(1), ca_bundle=bundle, allow_private=False)
