import pytest

from irsa_stack.controllers import CertManager
from irsa_stack.faults import InvalidInput
from tests.support.controllers import documents
from tests.support.iam_evaluator import Resource, allowed

OURS, THEIRS = "Z0123456789ABCDEFGHIJ", "Z9999999999ABCDEFGHIJ"
ROLE = "arn:aws:iam::444455556666:role/dns"
SPECS = {
    "zones": CertManager(hosted_zones=[OURS]),
    "domains and another account": lambda location: CertManager(
        hosted_zones=[OURS],
        domains=["*.apps.example.com", "shop.example.com"],
        find_zones=False,
        assume_roles=[f"arn:{location.partition}:iam::444455556666:role/dns"],
    ),
}
CHANGE = "route53:ChangeResourceRecordSets"


def zone(identifier):
    return f"arn:aws:route53:::hostedzone/{identifier}"


def change(*names, zone_id=OURS, types=("TXT",), actions=("UPSERT",)):
    return Resource(
        zone(zone_id),
        {
            f"{CHANGE}NormalizedRecordNames": list(names),
            f"{CHANGE}RecordTypes": list(types),
            f"{CHANGE}Actions": list(actions),
        },
    )


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        (CHANGE, change("_acme-challenge.shop.example.com"), True),
        (CHANGE, change("_acme-challenge.shop.example.com", actions=["DELETE"]), True),
        (CHANGE, change("_acme-challenge.example.com", actions=["CREATE"]), False),
        (CHANGE, change("shop.example.com"), False),
        (CHANGE, change("_acme-challenge.a.example.com", "shop.example.com"), False),
        (CHANGE, change("_acme-challenge.shop.example.com", types=["A"]), False),
        (CHANGE, change("_acme-challenge.shop.example.com", types=["TXT", "CNAME"]), False),
        (CHANGE, change("_acme-challenge.shop.example.com", zone_id=THEIRS), False),
        (CHANGE, change("a-shop.example.com"), False),  # external-dns's registry
        (CHANGE, zone(OURS), False),
        ("route53:GetChange", "arn:aws:route53:::change/C0A1B", True),
        ("route53:ListHostedZonesByName", "*", True),
        ("route53:ListResourceRecordSets", zone(OURS), False),  # never called
        ("route53:ListHostedZones", "*", False),
        ("route53:DeleteHostedZone", zone(OURS), False),
        ("route53:ChangeTagsForResource", zone(OURS), False),
        ("sts:AssumeRole", ROLE, False),
    ],
)
def test_writes_challenges_of_its_zones_and_nothing_else(action, resource, expected):
    assert allowed(documents(SPECS["zones"]), action, resource) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_acme-challenge.apps.example.com", True),
        ("_acme-challenge.shop.example.com", True),
        ("_acme-challenge.www.example.com", False),
        ("_acme-challenge.a.apps.example.com", False),
        ("_acme-challenge.example.com", False),
    ],
)
def test_writes_challenges_of_its_domains_only(name, expected):
    held = documents(CertManager(hosted_zones=[OURS], domains=["*.apps.example.com",
                                                               "shop.example.com"]))  # fmt: skip
    assert allowed(held, CHANGE, change(name)) is expected


def test_reaches_zones_of_other_accounts_through_their_roles_only():
    held = documents(CertManager(assume_roles=[ROLE]))
    assert allowed(held, "sts:AssumeRole", ROLE)
    assert not allowed(held, "sts:AssumeRole", ROLE + "-admin")
    assert not allowed(held, CHANGE, change("_acme-challenge.shop.example.com"))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "hosted_zones must name at least one zone"),
        ({"hosted_zones": ["*"]}, "hosted_zones must be such as"),
        ({"hosted_zones": OURS}, "hosted_zones must be a list"),
        ({"hosted_zones": [OURS], "domains": ["*"]}, "domains must be such as"),
        ({"hosted_zones": [OURS], "domains": ["Shop.example.com"]}, "write it in lower case"),
        ({"assume_roles": [ROLE], "domains": ["a.example.com"]}, "must go with hosted_zones"),
    ],
)
def test_refuses_a_scope_that_is_none(options, fault):
    with pytest.raises(InvalidInput, match=fault):
        CertManager(**options)


UPSTREAM = """
    route53:ChangeResourceRecordSets route53:GetChange route53:ListHostedZonesByName
    route53:ListResourceRecordSets sts:AssumeRole
"""
LEFT_OUT = {"route53:ListResourceRecordSets": "v1.21.1 does not call it"}
