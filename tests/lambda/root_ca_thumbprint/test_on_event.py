"""CloudFormation's side of every case: one answer each, whatever the issuer does."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from custom_resource import Failure, Request, answer
from root_ca_thumbprint import on_event
from tests.support.cloudformation import Context, ResponseUrl, event
from tests.support.issuer_cases import EKS_PATH, QUICK, SLOW
from tests.support.tls_servers import Resolver

# What `answer` keeps for itself comes off the function's life.
SLOW_SECONDS = 3.0
SHORT_LIFE = SLOW_SECONDS + 13


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def handled(issuer, request_type, *, seconds=60.0, **properties):
    with ResponseUrl() as response_url:
        made = event(
            request_type,
            response_url.url,
            issuer.properties | properties,
            physical_id=f"irsa-thumbprint/{issuer.host}{EKS_PATH}",
            old_properties=issuer.properties,
        )
        on_event.handle(made, Context(seconds=seconds))
    return response_url


def check(case, issuer, response_url):
    response = response_url.only_response
    assert response["PhysicalResourceId"] == f"irsa-thumbprint/{issuer.host}{EKS_PATH}"
    if case.refused:
        assert response["Status"] == "FAILED"
        assert re.fullmatch(rf"{case.reason(issuer)}(; tried for \d+ s)?", response["Reason"])
    else:
        assert response["Status"] == "SUCCESS"
        assert response["Data"]["Thumbprints"].split(",") == issuer.thumbprints
    assert len(response_url.puts[0].body) < 4096
    assert b"s3cr3t" not in response_url.puts[0].body


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@named(QUICK)
def test_answers_once(case, request_type, resolver, monkeypatch):
    # Of a new issuer some refusals are borne.
    monkeypatch.setattr(on_event, "WORK_SECONDS", 4.0)
    with case.served(resolver) as issuer:
        check(case, issuer, handled(issuer, request_type))


@named([*QUICK, *SLOW])
def test_deletes_without_network(case, resolver):
    with case.served(resolver) as issuer:
        response_url = handled(issuer, "Delete")
    assert response_url.only_response["Status"] == "SUCCESS"
    assert resolver.asked == []


@pytest.fixture(scope="module")
def slow_answers():
    """All slow issuers at once: their seconds must not add up."""

    def timed(issuer, request_type):
        started = time.monotonic()
        response_url = handled(issuer, request_type, seconds=SHORT_LIFE)
        return issuer, response_url, time.monotonic() - started

    with (
        contextlib.ExitStack() as stack,
        pytest.MonkeyPatch.context() as patch,
        ThreadPoolExecutor(2 * len(SLOW)) as pool,
    ):
        resolver = Resolver()
        patch.setattr(socket, "getaddrinfo", resolver)
        issuers = {case.name: stack.enter_context(case.served(resolver)) for case in SLOW}
        running = {
            (case.name, request_type): pool.submit(timed, issuers[case.name], request_type)
            for case in SLOW
            for request_type in ("Create", "Update")
        }
        return {key: future.result() for key, future in running.items()}


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@named(SLOW)
def test_answers_slow_servers_once_and_in_time(case, request_type, slow_answers):
    issuer, response_url, seconds = slow_answers[case.name, request_type]
    check(case, issuer, response_url)
    assert seconds < SLOW_SECONDS + 2


def test_the_whole_run_stays_under_30_seconds():
    grace_seconds = inspect.signature(answer).parameters["grace_seconds"].default
    assert on_event.WORK_SECONDS + grace_seconds < 30


@named([case for case in QUICK if case.name == "acm_now"])
class TestData:
    def test_holds_all_attributes_as_text(self, case, resolver):
        with case.served(resolver) as issuer:
            data = handled(issuer, "Create").only_response["Data"]
        assert data == {
            "Thumbprints": issuer.thumbprints[0],
            "CertificateSubject": "C=US, O=Amazon, CN=Amazon Root CA 1",
            "NotAfter": data["NotAfter"],
            "Warnings": "",
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["NotAfter"])

    def test_keeps_previous_thumbprints(self, case, resolver):
        previous = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
        with case.served(resolver) as issuer:
            response_url = handled(issuer, "Update", Additional=[previous])
        thumbprints = response_url.only_response["Data"]["Thumbprints"]
        assert thumbprints == f"{issuer.thumbprints[0]},{previous}"

    def test_a_refresh_computes_anew_under_the_same_id(self, case, resolver):
        with case.served(resolver) as issuer:
            before = handled(issuer, "Create").only_response
            after = handled(issuer, "Update", Refresh="2026-11").only_response
            assert issuer.server.connections == 2
        assert before["PhysicalResourceId"] == after["PhysicalResourceId"]


def test_warnings_are_logged_and_answered(resolver, capsys):
    (case,) = [case for case in QUICK if case.name == "expires_soon"]
    with case.served(resolver) as issuer:
        warnings = handled(issuer, "Create").only_response["Data"]["Warnings"]
    assert re.search(r"expires on \d{4}-\d\d-\d\d: plan the rotation", warnings)
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in logged if line["level"] == "WARNING"] == [warnings]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, "the issuer URL must start with https://, got None; copy it from the cluster"),
        (
            {"IssuerUrl": "https://a.test", "CaBundle": ["x"]},
            "CaBundle must be text, got list; give one PEM text",
        ),
        (
            {"IssuerUrl": "https://a.test", "CaBundle": "x"},
            "the CA bundle must be certificates in PEM, and is not; pass the file's content",
        ),
        (
            {"IssuerUrl": "https://a.test", "AllowPrivate": "yes"},
            "AllowPrivate must be 'true' or 'false', got 'yes'; correct it",
        ),
        (
            {"IssuerUrl": "https://a.test", "Additional": "0" * 40},
            f"Additional must be a list, got '{'0' * 40}'; put it in brackets",
        ),
    ],
)
@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_refuses_properties_that_are_wrong(properties, reason, request_type, resolver):
    with ResponseUrl() as response_url:
        on_event.handle(event(request_type, response_url.url, properties), Context())
    assert response_url.only_response["Reason"] == reason
    assert resolver.asked == []


@pytest.mark.parametrize("properties", [{}, {"IssuerUrl": "ftp://"}, {"AllowPrivate": "?"}])
def test_deletes_whatever_the_properties_are(properties):
    with ResponseUrl() as response_url:
        made = event("Delete", response_url.url, properties, physical_id="Thing")
        on_event.handle(made, Context())
    assert response_url.only_response["Status"] == "SUCCESS"
    assert response_url.only_response["PhysicalResourceId"] == "Thing"


def request(**properties):
    return Request("Update", "old", properties, {}, "stack", "Thing", "1")


def test_the_id_names_the_issuer_and_nothing_that_changes():
    url = f"https://a.test{EKS_PATH}"
    assert (
        on_event.physical_id(request(IssuerUrl=url))
        == on_event.physical_id(
            request(IssuerUrl=url, Refresh="2", Additional=["0" * 40], AllowPrivate="true")
        )
        == f"irsa-thumbprint/a.test{EKS_PATH}"
    )


def test_an_issuer_that_is_none_has_no_id():
    with pytest.raises(Failure):
        on_event.physical_id(request(IssuerUrl="https://a.test/"))
