"""Every policy of the catalogue against AWS's own reference, in three partitions."""

import re
from functools import cache

import pytest

from irsa_stack.controllers import vpc_cni
from irsa_stack.controllers.catalogue import modules, specs
from irsa_stack.iam.quotas import MANAGED_POLICY_CHARACTERS, document_characters
from tests.support.controllers import CLUSTER, LOCATIONS, LONGEST, spec_at, table
from tests.support.iam_reference import (
    action_details,
    findings,
    has_resource_level,
    knows_condition_key,
    writes,
)

CNI = {
    "IPv6": {"ip_family": "ipv6"},
    "one cluster": {"cluster_scoped": True},
    "IPv6, one cluster": {"ip_family": "ipv6", "cluster_scoped": True},
}
TABLES = [*modules(), "vpc_cni"]


@cache
def variants(module, partition="aws", cluster=CLUSTER):
    """The documents of a controller, by the variant of its test and the name of the policy."""
    location = LOCATIONS[partition]
    if module == "vpc_cni":
        held = {"cluster_name": cluster.name, "vpc_id": cluster.vpc_id}
        made = {
            variant: vpc_cni.policy_documents(
                location=location, **options, **(held if "cluster_scoped" in options else {})
            )
            for variant, options in CNI.items()
        }
    else:
        made = {
            variant: spec_at(spec, location).documents(cluster, location)
            for variant, spec in table(module).SPECS.items()
        }
    return {
        f"{variant}/{name}": document
        for variant, documents in made.items()
        for name, document in documents.items()
    }


def statements(module):
    return {
        f"{name}/{statement['Sid']}": statement
        for name, document in variants(module).items()
        for statement in document["Statement"]
    }


def asked(module, name, default):
    return getattr(table(module), name, default)


@pytest.fixture(params=TABLES)
def module(request):
    return request.param


@pytest.fixture(params=LOCATIONS)
def partition(request):
    return request.param


def test_parliament_finds_nothing(module, partition):
    found = {
        finding
        for document in variants(module, partition).values()
        for finding in findings(document)
    }
    assert found <= asked(module, "FOUND", set())


def test_each_document_fits_a_managed_policy_at_the_longest_names(module, partition):
    sizes = {
        name: document_characters(document)
        for name, document in variants(module, partition, LONGEST).items()
    }
    assert {name: size for name, size in sizes.items() if size > MANAGED_POLICY_CHARACTERS} == {}


def test_names_each_statement_once(module):
    for document in variants(module).values():
        sids = [statement["Sid"] for statement in document["Statement"]]
        assert len(set(sids)) == len(sids)
        assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


def test_stays_in_its_partition(module, partition):
    text = str(variants(module, partition))
    assert set(re.findall("arn:([a-z-]+):", text)) <= {partition}


def test_every_action_exists(module):
    unknown = [
        action
        for statement in statements(module).values()
        for action in statement["Action"]
        if action_details(action) is None
    ]
    assert unknown == []


def test_every_condition_key_is_evaluated_for_every_action(module):
    unknown = [
        (where, action, key)
        for where, statement in statements(module).items()
        for tests in statement.get("Condition", {}).values()
        for key in tests
        for action in statement["Action"]
        if not knows_condition_key(action, key)
    ]
    assert {(action, key) for _, action, key in unknown} <= asked(module, "UNKNOWN_KEYS", set())


def test_never_names_all_resources_or_all_actions_without_need(module):
    for where, statement in statements(module).items():
        assert all("*" not in action for action in statement["Action"]), where
        if statement["Resource"] == ["*"] and "Condition" not in statement:
            needless = [
                action
                for action in statement["Action"]
                if writes(action) and has_resource_level(action)
            ]
            assert needless == [], where


def test_every_write_is_held_to_resources_and_conditions(module):
    loose = set()
    for statement in statements(module).values():
        one_by_one = all(
            # Below a bucket that is named, objects come and go.
            "*" not in resource.rpartition("/")[2] or re.match(r"arn:[a-z-]+:s3:::[^*]+/", resource)
            for resource in statement["Resource"]
        )
        if not one_by_one and "Condition" not in statement:
            loose |= {action for action in statement["Action"] if writes(action)}
    assert loose == asked(module, "EXCUSED", {}).keys()


def test_gives_the_reason_for_each_wildcard_and_for_nothing_else(module):
    wild = {
        statement["Sid"]
        for statement in statements(module).values()
        if any("*" in resource or "?" in resource for resource in statement["Resource"])
    }
    reasons = vpc_cni.WILDCARDS if module == "vpc_cni" else specs()[module].wildcards
    assert wild == reasons.keys()


def test_differs_from_upstream_only_for_a_reason(module):
    upstream = set(asked(module, "UPSTREAM", "").split())
    left_out, added = asked(module, "LEFT_OUT", {}).keys(), asked(module, "ADDED", {}).keys()
    ours = {action for statement in statements(module).values() for action in statement["Action"]}
    assert ours == upstream - left_out | added
    assert left_out <= upstream
    assert not added & upstream


@pytest.mark.parametrize(
    "action",
    [
        "elasticloadbalancing:SetRulePriorities",
        "wafv2:AssociateWebACL",
        "wafv2:DisassociateWebACL",
    ],
)
def test_an_excused_action_knows_no_tag(action):
    assert not knows_condition_key(action, "aws:ResourceTag/elbv2.k8s.aws/cluster")


@pytest.mark.parametrize("action", ["elasticloadbalancing:SetWebAcl", "shield:CreateProtection"])
def test_an_excused_action_has_no_resource_level(action):
    assert not has_resource_level(action)
