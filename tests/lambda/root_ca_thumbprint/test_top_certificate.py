from __future__ import annotations

import pytest

from root_ca_thumbprint.certificate import UnreadableCertificate
from root_ca_thumbprint.top_certificate import top_certificate
from tests.support import certificate_chains as chains
from tests.support.certificate_chains import DAY, NOW, authorities, issue

HOST = "host.test"


def top_of(*presented):
    return top_certificate([issued.der for issued in presented], NOW)


@pytest.mark.parametrize("recipe", [*chains.ORDERED, *chains.UNORDERED], ids=lambda r: r.__name__)
def test_takes_the_top_of_what_is_presented(recipe):
    chain = recipe(HOST)
    assert top_certificate(chain.der, NOW).certificate.thumbprint == chain.top.thumbprint


@pytest.mark.parametrize("recipe", chains.ORDERED, ids=lambda r: r.__name__)
def test_takes_the_last_certificate_of_an_ordered_chain(recipe):
    chain = recipe(HOST)
    assert top_certificate(chain.der, NOW).certificate.der == chain.der[-1]


SUBJECT = {
    "root_1": "C=US, O=Amazon, CN=Amazon Root CA 1",
    "m01": "C=US, O=Amazon, CN=Amazon RSA 2048 M01",
}


@pytest.mark.parametrize(
    ("recipe", "warnings"),
    [
        (chains.acm_now, []),
        (chains.acm_before_2024, []),
        (chains.one_intermediate, []),
        (chains.expired_twin_first, []),
        (
            chains.leaf_only,
            ["the server presents its own certificate only: expect a new thumbprint often"],
        ),
        (
            chains.root_sent_too,
            [f"the server presents its root, {SUBJECT['root_1']}, which servers usually leave out"],
        ),
        (
            chains.expired_cross_on_top,
            [f"{SUBJECT['root_1']} expired on {NOW - DAY:%Y-%m-%d}"],
        ),
        (
            chains.expires_soon,
            [f"{SUBJECT['m01']} expires on {NOW + 90 * DAY:%Y-%m-%d}: plan the rotation"],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_warns_of_what_is_odd(recipe, warnings):
    assert list(top_certificate(recipe(HOST).der, NOW).warnings) == warnings


@pytest.mark.parametrize("recipe", chains.UNORDERED, ids=lambda r: r.__name__)
def test_warns_that_the_last_certificate_is_another(recipe):
    chain = recipe(HOST)
    assert (
        "the chain is out of order or holds strays: tools that take the last certificate get"
        f" {chain.presented[-1].thumbprint}"
    ) in top_certificate(chain.der, NOW).warnings


def test_warns_of_an_issuer_that_is_no_ca():
    root = issue("Root")
    not_a_ca = issue("Not a CA", root, host="ca.test")
    top = top_of(issue(HOST, not_a_ca, host=HOST), not_a_ca)
    assert top.warnings == ("C=US, O=Amazon, CN=Not a CA is not marked as a CA",)


@pytest.mark.parametrize(
    ("days", "warned"), [(-1, True), (1, True), (179, True), (180, False), (181, False)]
)
def test_warns_less_than_180_days_before_the_end(days, warned):
    ca = issue("CA", authorities().root_1, not_after=NOW + days * DAY, not_before=NOW - 9 * DAY)
    top = top_of(issue(HOST, ca, host=HOST), ca)
    assert bool(top.warnings) is warned


def test_two_cas_that_signed_each_other_are_no_endless_walk():
    first, second = issue("First"), issue("Second")
    first_by_second = issue("First", second, key=first.key)
    second_by_first = issue("Second", first, key=second.key)
    leaf = issue(HOST, first, host=HOST)
    top = top_of(leaf, first_by_second, second_by_first)
    assert top.certificate.der == second_by_first.der


def test_a_self_signed_server_certificate_is_its_own_top():
    leaf = issue(HOST, host=HOST)
    assert top_of(leaf, authorities().m01).certificate.der == leaf.der


def test_an_unreadable_certificate_is_refused_wherever_it_stands():
    chain = chains.acm_now(HOST)
    with pytest.raises(UnreadableCertificate):
        top_certificate([*chain.der, b"\x30\x00"], NOW)
