import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irsa_stack.iam.trust import trust_policy
from irsa_stack.review.rules import RULES, SEVERITIES
from irsa_stack.review.template import template_findings
from irsa_stack.review.trust_policy import trust_policy_findings
from tests.support.generated_policies import ACCOUNT, ISSUER, PROVIDER
from tests.support.trust_policies import CASES


@pytest.mark.parametrize(("case", "template"), CASES, ids=[name for name, _ in CASES])
def test_each_case_is_judged_right(case, template):
    found = [one for one in template_findings(template, account=ACCOUNT) if not one.is_remark]
    severities = {one.severity for one in found}
    expected = {
        "ok": not found,
        "open": bool(severities & {"high", "critical"}),
        "dead": severities == {"medium"} and "IRSA901" not in {one.id for one in found},
        "blind": {one.id for one in found} == {"IRSA901"},
    }
    assert expected[case.split()[0]], found


GOOD = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("a*?:${}[", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def policy(**elements):
    document = copy.deepcopy(GOOD)
    document["Statement"][0] |= elements
    return document


@given(
    document=st.fixed_dictionaries({}, optional={"Statement": json_values, "Version": json_values})
    | json_values,
    element=st.sampled_from(
        ["Principal", "Action", "Condition", "Effect", "NotAction", "NotPrincipal", "effect"]
    ),
    value=json_values,
)
def test_no_document_whatever_breaks_the_review(document, element, value):
    list(trust_policy_findings(document))
    list(trust_policy_findings(json.dumps(document)))
    list(trust_policy_findings(policy(**{element: value})))
    for kind in ("Federated", "AWS", "Service"):
        list(trust_policy_findings(policy(Principal={kind: value})))
    for operator in ("StringEquals", "StringLike", "Null", "IpAddress", "ForAllValues:StringLike"):
        list(trust_policy_findings(policy(Condition={operator: {f"{ISSUER}:sub": value}})))
        list(trust_policy_findings(policy(Condition={operator: value})))


@given(value=json_values)
def test_no_template_breaks_the_review(value):
    for properties in (value, {"AssumeRolePolicyDocument": {"Fn::If": value}}):
        resource = {"Type": "AWS::IAM::Role", "Properties": properties}
        list(template_findings({"Resources": {"Role": resource}}))
    for function in ("Ref", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::GetAtt", "Fn::FindInMap"):
        document = policy(Condition={function: value})
        resource = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
        list(template_findings({"Resources": {"Role": resource}, "Mappings": {"": value}}))


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_rule_says_all_that_is_to_say(rule):
    assert rule.severity in SEVERITIES
    assert rule.sentence
    assert rule.fix
    assert rule.source.startswith("https://")


def test_names_of_rules_are_given_once():
    assert len({rule.name for rule in RULES.values()}) == len(RULES)


def test_a_finding_says_who_gets_in():
    subject = {f"{ISSUER}:sub": "system:serviceaccount:*:api"}
    [found] = trust_policy_findings(
        policy(
            Condition={
                "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
                "StringLike": subject,
            }
        )
    )
    assert (found.id, found.severity, found.where) == ("IRSA104", "high", "Statement/0")
    assert "every account named api of every namespace" in found.message
