import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irsa_stack.iam.trust import trust_policy
from irsa_stack.review.trust_review import (
    RULES,
    role_annotation_findings,
    trust_policy_faults,
    trust_policy_findings,
)

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
OTHER = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/FEDC"
TOKEN = "${Token[TOKEN.12]}"
SUBJECT = "system:serviceaccount:apps:api"
GOOD = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])


def conditions(aud="sts.amazonaws.com", sub=SUBJECT, operator="StringEquals"):
    tests = {f"{ISSUER}:aud": aud, f"{ISSUER}:sub": sub}
    return {operator: {key: value for key, value in tests.items() if value is not None}}


def policy(**statement):
    document = copy.deepcopy(GOOD)
    document["Statement"][0] |= statement
    return document


def rules(document, **kwargs):
    return [finding.rule for finding in trust_policy_findings(document, **kwargs)]


# What is right


@pytest.mark.parametrize(
    "document",
    [
        GOOD,
        json.dumps(GOOD),
        trust_policy(provider_arn=TOKEN, issuer=TOKEN, service_accounts=["a/b", "c/d"]),
        trust_policy(
            provider_arn=PROVIDER,
            issuer=ISSUER,
            service_accounts=["a/b"],
            subject_patterns=["apps/build-*"],
        ),
        policy(Action=["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
        policy(Condition={"ForAnyValue:StringEquals": conditions()["StringEquals"]}),
        policy(Condition=conditions(aud="vault")),
        policy(Condition=TOKEN),
        policy(Condition={"StringEquals": TOKEN}),
        policy(Effect="Deny", Condition={}),
        TOKEN,
    ],
)
def test_a_good_policy_has_no_faults(document):
    assert not list(trust_policy_faults(document, partition="aws"))


@pytest.mark.parametrize(
    "document",
    [
        {"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
                       "Action": "sts:AssumeRole"}},
        {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]},
        policy(
            Principal={"Federated": "cognito-identity.amazonaws.com"},
            Condition={"StringEquals": {"cognito-identity.amazonaws.com:aud": "eu-west-1:1"}},
        ),
        trust_policy(
            provider_arn="arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
            issuer="token.actions.githubusercontent.com",
            service_accounts=["a/b"],
        ) | {"Version": "2012-10-17"},
    ],
)  # fmt: skip
def test_policies_for_others_are_not_our_concern(document):
    assert not list(trust_policy_faults(document))


def test_subjects_of_other_issuers_are_theirs():
    github = "token.actions.githubusercontent.com"
    document = policy(
        Principal={"Federated": f"arn:aws:iam::111122223333:oidc-provider/{github}"},
        Condition={
            "StringEquals": {f"{github}:aud": "sts.amazonaws.com"},
            "StringLike": {f"{github}:sub": "repo:octo-org/octo-repo:*"},
        },
    )
    assert not list(trust_policy_faults(document))


# Mistakes, each with its fix


@pytest.mark.parametrize(
    ("document", "rule", "fix"),
    [
        ('{"Statement": [', "IRSA100", "correct it: Expecting value"),
        (GOOD["Statement"][0] and str(GOOD), "IRSA100", "enclosed in double quotes"),
        (policy(Condition=conditions(sub=None)), "IRSA101", "add StringEquals with 'system:serv"),
        (policy(Condition={}), "IRSA101", "add StringEquals with 'system:serviceaccount:NAMESPACE"),
        (
            policy(Condition=conditions(operator="StringLike", sub="*")),
            "IRSA101",
            "write 'system:serviceaccount:NAMESPACE:NAME'",
        ),
        (policy(Condition=conditions(aud=None)), "IRSA102", "add StringEquals with 'sts.amazon"),
        (
            policy(Condition=conditions(operator="StringLike", sub="system:serviceaccount:*:api")),
            "IRSA104",
            "list the namespaces",
        ),
        (
            policy(Condition=conditions(operator="StringLike", sub="system:serviceaccount:t-*:a")),
            "IRSA104",
            "list the namespaces",
        ),
        (
            policy(Condition=conditions(sub="system:serviceaccount:apps:*")),
            "IRSA106",
            "use StringLike",
        ),
        (policy(Condition=conditions(sub="apps/api")), "IRSA107", "write that"),
        (policy(Condition=conditions(sub="sts.amazonaws.com")), "IRSA107", "write that"),
        (policy(Condition=conditions(sub="system:serviceaccount:apps")), "IRSA107", "choose"),
        (policy(Condition=conditions(sub="system:serviceaccount:Apps:api")), "IRSA107", "'apps'"),
        (
            policy(Condition=conditions(operator="StringLike", sub="system:serviceaccount:a:B*")),
            "IRSA107",
            "correct it",
        ),
        (
            policy(Condition=conditions(operator="StringEqualsIfExists")),
            "IRSA108",
            "write StringEquals",
        ),
        (
            policy(Condition=conditions(operator="ForAllValues:StringEquals")),
            "IRSA108",
            "write Str",
        ),
        (policy(Condition=conditions(operator="StringNotEquals")), "IRSA108", "write StringEquals"),
        (policy(Action="sts:AssumeRole"), "IRSA109", "statement of their own"),
        (policy(Action="sts:*"), "IRSA109", "statement of their own"),
        (
            policy(
                Condition={
                    "StringEquals": {
                        f"https://{ISSUER}:aud": "sts.amazonaws.com",
                        f"https://{ISSUER}:sub": SUBJECT,
                    }
                }
            ),
            "IRSA110",
            f"write '{ISSUER}:sub'",
        ),
        (policy(Principal={"Federated": OTHER}), "IRSA110", "write oidc.eks.eu-west-1."),
        (policy(Principal={"Federated": [PROVIDER, OTHER]}), "IRSA111", "statement of its own"),
        (policy(Principal={"Federated": "*"}), "IRSA112", "name the cluster's provider"),
        (policy(Principal="*"), "IRSA112", "name the cluster's provider"),
        (policy(Principal={"AWS": "*"}), "IRSA112", "name the cluster's provider"),
        (policy(Condition=conditions(aud=SUBJECT)), "IRSA114", "'sts.amazonaws.com' here"),
        (policy(Condition=conditions(aud="")), "IRSA114", "the usual one is 'sts.amazonaws.com'"),
        (policy(Condition=conditions(aud="*")), "IRSA114", "the usual one is 'sts.amazonaws.com'"),
        (policy(NotPrincipal={"AWS": "x"}), "IRSA115", "name those who may"),
        (policy(NotAction="sts:TagSession"), "IRSA115", "name those who may"),
        (
            policy(Principal={"Federated": PROVIDER.replace("provider/", "provider:")}),
            "IRSA117",
            "replace the last colon by a slash",
        ),
        (
            policy(Principal={"Federated": PROVIDER.replace("111122223333", "1111")}),
            "IRSA117",
            "correct the account",
        ),
        (
            trust_policy(
                provider_arn=PROVIDER,
                issuer=ISSUER,
                service_accounts=[f"apps/{number:04}{'x' * 40}" for number in range(120)],
            ),
            "IRSA119",
            "over several roles",
        ),
    ],
)
def test_reports_a_mistake_and_its_fix(document, rule, fix):
    findings = list(trust_policy_findings(document))
    fixes = [f.fault.rpartition("; ")[2] for f in findings if f.rule == rule]
    assert [found for found in fixes if fix in found], findings


def test_reports_an_arn_of_another_partition():
    [fault] = trust_policy_faults(GOOD, partition="aws-cn")
    assert fault.startswith("Principal.Federated must be in partition aws-cn")
    assert fault.endswith("write arn:aws-cn:...")


def test_reports_a_provider_of_another_account():
    [fault] = trust_policy_faults(GOOD, account="444455556666")
    assert fault.startswith("Principal.Federated must be in account 444455556666")
    assert not list(trust_policy_faults(GOOD, account="111122223333"))


def test_reports_one_mistake_once():
    assert rules(policy(Condition=conditions(aud=None))) == ["IRSA102"]


def test_reports_every_mistake_of_a_policy():
    document = policy(Principal={"Federated": [PROVIDER, OTHER]}, Condition=conditions(aud=SUBJECT))
    assert rules(document) == ["IRSA111", "IRSA114"]


def test_statements_are_judged_one_by_one():
    document = copy.deepcopy(GOOD)
    document["Statement"].append(policy(Condition={})["Statement"][0])
    assert rules(document) == ["IRSA101", "IRSA102"]


def test_a_statement_needs_no_list():
    assert rules({"Statement": policy(Condition={})["Statement"][0]}) == ["IRSA101", "IRSA102"]


def test_tests_both_claims_under_whatever_operators():
    condition = {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{ISSUER}:sub": "system:serviceaccount:apps:build-*"},
        "Null": {f"{ISSUER}:sub": "false"},
        "IpAddress": {"aws:SourceIp": "203.0.113.0/24"},
    }
    assert not rules(policy(Condition=condition))


def test_existence_of_a_claim_is_no_test_of_it():
    condition = {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "Null": {f"{ISSUER}:sub": "false"},
    }
    assert rules(policy(Condition=condition)) == ["IRSA101"]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_says_what_it_asks_for(rule):
    assert RULES[rule]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    document=st.fixed_dictionaries(
        {},
        optional={
            "Statement": json_values,
            "Version": json_values,
        },
    )
    | json_values,
    element=st.sampled_from(["Principal", "Action", "Condition", "Effect", "NotAction"]),
    value=json_values,
)
def test_no_document_whatever_breaks_the_review(document, element, value):
    list(trust_policy_findings(document))
    list(trust_policy_findings(policy(**{element: value})))
    list(trust_policy_findings(policy(Principal={"Federated": value})))
    list(trust_policy_findings(policy(Condition={"StringEquals": {f"{ISSUER}:sub": value}})))


# Role annotations


def manifest(role_arn):
    return {
        "kind": "ServiceAccount",
        "metadata": {"annotations": {"eks.amazonaws.com/role-arn": role_arn}},
    }


@pytest.mark.parametrize(
    "role_arn",
    ["arn:aws:iam::111122223333:role/team/api", TOKEN, f"arn:{TOKEN}:iam::{TOKEN}:role/x"],
)
def test_accepts_the_arn_of_a_role(role_arn):
    assert not list(role_annotation_findings(manifest(role_arn)))


@pytest.mark.parametrize("wrap", [manifest, lambda arn: json.dumps([manifest(arn)])])
def test_names_the_slash_in_a_role_annotation_written_with_a_colon(wrap):
    [finding] = role_annotation_findings({"Manifest": wrap("arn:aws:iam::111122223333:role:api")})
    assert finding.rule == "IRSA501"
    assert finding.fault == (
        "eks.amazonaws.com/role-arn must be written role/NAME, got"
        " 'arn:aws:iam::111122223333:role:api'; replace the last colon by a slash"
    )


def test_reports_a_role_of_another_partition():
    value = manifest("arn:aws:iam::111122223333:role/api")
    [finding] = role_annotation_findings(value, partition="aws-cn")
    assert "must be in partition aws-cn" in finding.fault


@pytest.mark.parametrize("value", [None, "text", 'eks.amazonaws.com/role-arn: "x', ["a"], 1])
def test_other_values_have_no_role_annotation(value):
    assert not list(role_annotation_findings(value))
