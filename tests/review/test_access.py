"""Whom a trust policy lets in: seventeen shapes, eleven of which the one map for EKS gets wrong."""

import json

import pytest

from irsa_stack.review.access import grants_of
from irsa_stack.review.explanation import explained
from irsa_stack.review.facts import ANNOTATION, At, Binding
from irsa_stack.review.sources.collection import facts_of
from irsa_stack.review.sources.reading import CLOUDFORMATION, POLICY, Reading, Source

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
SUB, AUD = f"{ISSUER}:sub", f"{ISSUER}:aud"
APPS = "system:serviceaccount:apps:*"
API = "system:serviceaccount:apps:api"
CLUSTER = "system:serviceaccount:*:*"


def statement(condition, *, partition="aws", **changed):
    return {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:{partition}:iam::111122223333:oidc-provider/{ISSUER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
        **changed,
    }


def trust(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def when(operator, *subjects):
    return {operator: {SUB: list(subjects) if len(subjects) > 1 else subjects[0]}}


EXACT = when("StringEquals", API)
EVERYBODY_ELSE = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity"}

SHAPES = {
    "exact": (trust(statement(EXACT)), {"apps/api"}, True),
    "another": (trust(statement(when("StringEquals", API + "-2"))), {"apps/api-2"}, False),
    "pattern": (trust(statement(when("StringLike", APPS))), {"apps/*"}, True),
    "no subject": (trust(statement({"StringEquals": {AUD: "sts.amazonaws.com"}})), {"*/*"}, True),
    "list": (
        trust(statement(when("StringEquals", API, API + "-2"))),
        {"apps/api", "apps/api-2"},
        True,
    ),
    "wildcard under equals": (trust(statement(when("StringEquals", APPS))), {"apps/*"}, False),
    "statement as object": (
        {"Version": "2012-10-17", "Statement": statement(EXACT)},
        {"apps/api"},
        True,
    ),
    "principal as text": (trust(statement(EXACT, Principal="*")), {"apps/api"}, True),
    "if exists": (trust(statement(when("StringEqualsIfExists", API))), {"apps/api"}, True),
    "any value": (trust(statement(when("ForAnyValue:StringLike", CLUSTER))), {"*/*"}, True),
    "all values": (trust(statement(when("ForAllValues:StringEquals", API))), {"apps/api"}, True),
    "not equals": (
        trust(statement(when("StringNotEquals", "system:serviceaccount:apps:web"))),
        {"*/*"},
        True,
    ),
    "ignoring case": (
        trust(statement(when("StringEqualsIgnoreCase", "System:ServiceAccount:Apps:Api"))),
        {"apps/api"},
        True,
    ),
    "null": (trust(statement({"Null": {SUB: "false"}})), {"*/*"}, True),
    "deny all others": (
        trust(statement({}), EVERYBODY_ELSE | {"Condition": when("StringNotLike", APPS)}),
        {"apps/*"},
        True,
    ),
    "China": (trust(statement(EXACT, partition="aws-cn")), {"apps/api"}, True),
    "no class of letters": (
        trust(statement(when("StringLike", "system:serviceaccount:apps:[a-z]*"))),
        {"apps/[a-z]*"},
        False,
    ),
}


def facts(document):
    source = Source(path="t.json", kind=POLICY, content=document, text=json.dumps(document))
    found = facts_of(Reading(sources=[source]))
    [role] = found.roles
    found.bindings.append(
        Binding(
            namespace="apps", name="api", how=ANNOTATION, role=role, at=At(path="m", resource="m")
        )
    )
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_the_map_names_who_is_let_in(shape):
    document, accounts, _ = SHAPES[shape]
    grants = [one for one in grants_of(facts(document)) if one.certainty != "denied"]
    assert {one.account for one in grants} == accounts


@pytest.mark.parametrize("shape", SHAPES)
def test_one_account_is_let_in_or_not(shape):
    document, _, is_let_in = SHAPES[shape]
    links = {one.name: one.state for one in explained(facts(document), "apps", "api")}
    assert links["subject"] == ("ok" if is_let_in else "broken")


@pytest.mark.parametrize("document", ["${Token[plain.Ref.X]}", {"Statement": "${Token[a]}"}])
def test_what_only_the_deploy_tells_is_unknown(document):
    assert {one.certainty for one in grants_of(facts(document))} == {"unknown"}


def test_a_deny_of_one_account_closes_the_role_to_it():
    closed = trust(statement(EXACT), EVERYBODY_ELSE | {"Condition": EXACT})
    assert {one.certainty for one in grants_of(facts(closed))} == {"denied"}


def test_a_condition_beside_makes_access_conditional():
    [grant] = grants_of(
        facts(trust(statement(EXACT | {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})))
    )
    assert grant.certainty == "conditional"
    assert grant.conditions == ("IpAddress aws:SourceIp 10.0.0.0/8",)


ROLE_ARN = "arn:aws:iam::111122223333:role/api"


@pytest.mark.parametrize("entry", [ROLE_ARN, {"Role": ROLE_ARN, "Restart": ["deployment/api"]}])
def test_a_binding_of_ours_names_its_role_whatever_is_special_about_it(entry):
    template = {
        "Resources": {
            "Batch": {
                "Type": "Custom::ServiceAccounts",
                "Properties": {
                    "Cluster": {"Name": "payments"},
                    "ServiceAccounts": {"apps/api": entry},
                },
            }
        }
    }
    source = Source(path="t.json", kind=CLOUDFORMATION, content=template, text=json.dumps(template))
    found = facts_of(Reading(sources=[source]))
    assert [(one.namespace, one.name, one.role) for one in found.bindings] == [
        ("apps", "api", ROLE_ARN)
    ]
