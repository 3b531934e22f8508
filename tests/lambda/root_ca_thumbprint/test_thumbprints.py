from __future__ import annotations

import pytest

from custom_resource import Deadline, Failure
from root_ca_thumbprint.thumbprints import compute_thumbprints
from tests.support.issuer_cases import ORDERED, QUICK, TAKEN, UNORDERED
from tests.support.tls_servers import openssl_thumbprint

PREVIOUS = [f"{number:040x}" for number in range(1, 6)]


def named(*cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def computed(issuer, **options):
    return compute_thumbprints(
        issuer.url,
        Deadline(20),
        ca_bundle=issuer.ca_bundle,
        allow_private=issuer.allow_private,
        **options,
    )


def the(name):
    (case,) = [case for case in QUICK if case.name == name]
    return case


@named(*ORDERED)
def test_equals_what_openssl_gives_by_the_book(case, resolver):
    with case.served(resolver) as issuer:
        by_the_book = openssl_thumbprint(issuer.host, issuer.server.address)
        assert computed(issuer).values == (by_the_book,)


@named(*UNORDERED)
def test_is_right_where_the_last_certificate_is_not(case, resolver):
    with case.served(resolver) as issuer:
        by_the_book = openssl_thumbprint(issuer.host, issuer.server.address)
        assert list(computed(issuer).values) == issuer.thumbprints != [by_the_book]


@named(*TAKEN)
def test_takes_every_document_that_is_in_order(case, resolver):
    with case.served(resolver) as issuer:
        assert list(computed(issuer).values) == issuer.thumbprints


def test_describes_the_first_thumbprints_certificate(resolver):
    with the("keys_on_another_host").served(resolver) as issuer:
        found = computed(issuer)
    assert found.subject == "C=US, O=Amazon, CN=Amazon Root CA 1"
    assert found.not_after.endswith("Z")


def test_warnings_name_the_host(resolver):
    with the("leaf_only").served(resolver) as issuer:
        (warning,) = computed(issuer).warnings
    assert warning.startswith("leaf-only.test: the server presents its own certificate only")


def test_keeps_previous_thumbprints_after_the_computed_one(resolver):
    with the("acm_now").served(resolver) as issuer:
        found = computed(issuer, additional=PREVIOUS[:4])
        assert list(found.values) == issuer.thumbprints + PREVIOUS[:4]


def test_a_previous_thumbprint_that_is_computed_again_is_listed_once(resolver):
    with the("acm_now").served(resolver) as issuer:
        again = [issuer.thumbprints[0].upper(), PREVIOUS[0], PREVIOUS[0]]
        found = computed(issuer, additional=again)
        assert list(found.values) == [issuer.thumbprints[0], PREVIOUS[0]]


def test_refuses_more_than_five(resolver):
    with (
        the("acm_now").served(resolver) as issuer,
        pytest.raises(Failure) as failure,
    ):
        computed(issuer, additional=PREVIOUS)
    assert str(failure.value) == (
        "the thumbprints must be at most 5, got 6: 1 computed and the additional ones; "
        "keep fewer of those"
    )


def test_refuses_previous_values_that_are_no_thumbprints_before_it_connects(resolver):
    with pytest.raises(Failure) as failure:
        compute_thumbprints(
            "https://nowhere.test", Deadline(1), additional=[PREVIOUS[0], "AB:CD", 7]
        )
    assert str(failure.value) == (
        "additional thumbprints must be 40 hexadecimal characters each, got 'AB:CD', 7; "
        "copy them from the provider"
    )
    assert resolver.asked == []
