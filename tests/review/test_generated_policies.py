"""Whatever lets in more than was named has a finding; what names its accounts exactly has none."""

import json
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irsa_stack.review.template import template_findings
from tests.support.generated_policies import (
    ACCOUNT,
    AUDIENCE,
    ISSUER,
    OTHER_PROVIDER,
    PREFIX,
    PROVIDER,
    deployments,
    templates,
)
from tests.support.iam_evaluator import WEB_IDENTITY, Caller, assumes

EXAMPLES = int(os.environ.get("IRSA_GENERATED_POLICIES", "300"))
many = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

SESSION = {"sts:RoleSessionName": "session", "aws:SourceIp": "10.1.2.3"}


def token(provider, **claims):
    issuer = provider.partition("oidc-provider/")[2]
    keys = {f"{issuer}:{claim}": value for claim, value in claims.items()}
    return Caller("Federated", provider, SESSION | keys)


THIRD = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/{'A' * 32}"
NAMED = f"{PREFIX}apps:api"
OTHERS_OF_NAMED = [
    token(PROVIDER, aud="vault.example.com", sub=NAMED),
    token(PROVIDER, aud="sts.amazonaws.com.evil.example", sub=NAMED),
    token(PROVIDER, aud=AUDIENCE),
    token(PROVIDER, sub=NAMED),
    token(THIRD, aud=AUDIENCE, sub=NAMED),
]
STRANGERS = [
    *OTHERS_OF_NAMED,
    *(
        token(provider, aud=AUDIENCE, sub=f"{PREFIX}{account}")
        for provider in (PROVIDER, OTHER_PROVIDER)
        for account in (
            "zz9:qq",
            "zz9:api",
            "appz:api",
            "session:api",
            "a:a",
            "aa:aa",
            "aaa:a",
            "p:a",
        )
    ),
    token(THIRD, aud=AUDIENCE, sub=f"{PREFIX}zz9:qq"),
]
AWS = [
    Caller("AWS", "arn:aws:iam::999988887777:role/evil", {
        "aws:PrincipalArn": "arn:aws:iam::999988887777:role/evil",
        "aws:PrincipalOrgID": "x", "aws:PrincipalTag/x": "x", "aws:SourceIp": "10.1.2.3",
        "sts:RoleSessionName": "session", "aws:PrincipalAccount": "999988887777",
    }),
    Caller("AWS", f"arn:aws:iam::{ACCOUNT}:user/x", {
        "aws:username": "x", "aws:SourceIp": "192.0.2.1", "sts:RoleSessionName": "x",
    }),
    Caller("Service", "ec2.amazonaws.com", {"aws:SourceAccount": ACCOUNT}),
]  # fmt: skip
NEIGHBOURS = [
    token(PROVIDER, aud=AUDIENCE, sub=f"{PREFIX}apps:{name}") for name in ("b", "zz", "api-2")
]


def let_in(policy):
    written = json.dumps(policy)
    for caller in STRANGERS:
        if caller not in OTHERS_OF_NAMED and any(
            f":{subject.split(':')[2]}:" in written
            for key, subject in caller.context.items()
            if key.endswith(":sub")
        ):
            continue  # somebody named that namespace
        if assumes(policy, caller, WEB_IDENTITY):
            yield caller
    yield from (caller for caller in AWS if assumes(policy, caller, "sts:AssumeRole"))


@many
@given(template=templates())
def test_whoever_gets_in_unnamed_is_found(template):
    found = list(template_findings(template, account=ACCOUNT))
    if any(not one.is_remark for one in found):
        return
    for policy in deployments(template):
        assert next(let_in(policy), None) is None, policy
        if not found:
            assert not [one for one in NEIGHBOURS if assumes(policy, one, WEB_IDENTITY)], policy


GOOD = st.fixed_dictionaries(
    {
        "aud": st.sampled_from(
            ["StringEquals", "stringEquals", "ForAnyValue:StringEquals", "StringLike"]
        ),
        "sub": st.sampled_from(
            ["StringEquals", "StringLike", "STRINGEQUALS", "StringEqualsIgnoreCase"]
        ),
        "key": st.sampled_from([ISSUER, ISSUER.upper(), ISSUER.lower()]),
        "accounts": st.lists(
            st.sampled_from([f"{PREFIX}{one}" for one in ("apps:api", "apps:b", "ci:x.y")]),
            min_size=1,
            max_size=3,
        ),
        "more": st.sampled_from(
            [
                {},
                {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
                {"Null": {f"{ISSUER}:sub": "false"}},
                {"StringNotEquals": {f"{ISSUER}:sub": f"{PREFIX}apps:default"}},
                {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
            ]
        ),
        "action": st.sampled_from([WEB_IDENTITY, WEB_IDENTITY.upper(), [WEB_IDENTITY]]),
    }
)


@settings(max_examples=min(EXAMPLES, 1000))
@given(good=GOOD)
def test_exact_accounts_have_no_finding_however_they_are_written(good):
    condition = {operator: dict(tests) for operator, tests in good["more"].items()}
    for claim, value in (("aud", AUDIENCE), ("sub", good["accounts"])):
        condition.setdefault(good[claim], {})[f"{good['key']}:{claim}"] = value
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": good["action"],
        "Condition": condition,
    }
    document = {"Version": "2012-10-17", "Statement": statement}
    template = {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
        }
    }
    assert list(template_findings(template, account=ACCOUNT)) == []


def test_the_strangers_are_let_in_where_nothing_is_tested():
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "sts:*"},
        ],
    }
    assert len(list(let_in(policy))) == len(STRANGERS) + len(AWS)
