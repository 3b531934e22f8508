"""The evaluator against the examples and rules of IAM's reference."""

import pytest

from tests.support.iam_evaluator import Caller, Resource, allowed, assumes

BUCKET = "arn:aws:s3:::receipts"


def policy(**statement):
    return [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}]


def condition(**operators):
    return policy(
        Action="s3:*",
        Resource="*",
        Condition={name.replace("__", ":"): keys for name, keys in operators.items()},
    )


def test_denies_what_no_statement_names():
    assert not allowed([], "s3:GetObject", BUCKET)


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("s3:getobject", "S3:GetObject", True),
        ("s3:Get*", "s3:GetObject", True),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:Get", "s3:GetObject", False),
        ("*", "s3:GetObject", True),
    ],
)
def test_matches_actions_without_regard_to_case(pattern, action, expected):
    assert allowed(policy(Action=pattern, Resource="*"), action, BUCKET) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (BUCKET, True),
        ("arn:aws:s3:::Receipts", False),
        ("arn:aws:s3:::rec*", True),
        ("arn:*", True),
        (["arn:aws:s3:::other", BUCKET], True),
        ("arn:aws:s3:::receipts/*", False),
    ],
)
def test_matches_resources_with_regard_to_case(pattern, expected):
    assert allowed(policy(Action="s3:*", Resource=pattern), "s3:GetObject", BUCKET) is expected


def test_a_deny_outweighs_every_allow():
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:Delete*", "Resource": BUCKET},
    ]
    document = [{"Statement": statements}]
    assert allowed(document, "s3:GetObject", BUCKET)
    assert not allowed(document, "s3:DeleteBucket", BUCKET)


def test_a_call_needs_permission_on_every_resource_that_it_touches():
    document = policy(Action="ec2:*", Resource="arn:aws:ec2:*:*:subnet/*")
    subnet = "arn:aws:ec2:eu-west-1:111122223333:subnet/subnet-1"
    interface = "arn:aws:ec2:eu-west-1:111122223333:network-interface/*"
    assert allowed(document, "ec2:CreateNetworkInterface", subnet)
    assert not allowed(document, "ec2:CreateNetworkInterface", subnet, interface)


def test_not_action_and_not_resource_take_in_all_others():
    document = policy(NotAction="iam:*", NotResource=BUCKET)
    assert allowed(document, "s3:GetObject", "arn:aws:s3:::other")
    assert not allowed(document, "iam:PassRole", "arn:aws:s3:::other")
    assert not allowed(document, "s3:GetObject", BUCKET)


@pytest.mark.parametrize(
    ("operators", "value", "expected"),
    [
        ({"StringEquals": {"aws:RequestTag/Team": "web"}}, "web", True),
        ({"StringEquals": {"AWS:requesttag/team": "web"}}, "web", True),
        ({"StringEquals": {"aws:RequestTag/Team": "w*"}}, "web", False),
        ({"StringEquals": {"aws:RequestTag/Team": ["web", "api"]}}, "api", True),
        ({"StringEquals": {"aws:RequestTag/Team": "web"}}, None, False),
        ({"StringNotEquals": {"aws:RequestTag/Team": "web"}}, "api", True),
        ({"StringNotEquals": {"aws:RequestTag/Team": "web"}}, "web", False),
        ({"StringNotEquals": {"aws:RequestTag/Team": "web"}}, None, True),
        ({"StringLike": {"aws:RequestTag/Team": "w*"}}, "web", True),
        ({"StringLike": {"aws:RequestTag/Team": "w*"}}, "Web", False),
        ({"StringEqualsIfExists": {"aws:RequestTag/Team": "web"}}, None, True),
        ({"StringEqualsIfExists": {"aws:RequestTag/Team": "web"}}, "api", False),
        ({"StringEqualsIgnoreCase": {"aws:RequestTag/Team": "WEB"}}, "web", True),
        ({"Null": {"aws:RequestTag/Team": "true"}}, None, True),
        ({"Null": {"aws:RequestTag/Team": "true"}}, "web", False),
        ({"Null": {"aws:RequestTag/Team": "false"}}, "web", True),
        ({"Null": {"aws:RequestTag/Team": "false"}}, None, False),
        ({"Bool": {"aws:RequestTag/Team": "true"}}, "True", True),
        # Operators of one condition are a conjunction, and so are its keys.
        ({"StringLike": {"aws:RequestTag/Team": "w*"}, "Null": {"aws:x": "false"}}, "web", False),
        ({"StringLike": {"aws:RequestTag/Team": "w*", "aws:x": "*"}}, "web", False),
    ],
)
def test_holds_a_condition_to_a_single_value(operators, value, expected):
    context = {} if value is None else {"aws:RequestTag/Team": value}
    assert allowed(condition(**operators), "s3:GetObject", BUCKET, context=context) is expected


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("ForAllValues__StringLike", ["a.example.com", "b.example.com"], True),
        ("ForAllValues__StringLike", ["a.example.com", "b.example.org"], False),
        ("ForAllValues__StringLike", None, True),
        ("ForAnyValue__StringLike", ["b.example.org", "a.example.com"], True),
        ("ForAnyValue__StringLike", ["b.example.org"], False),
        ("ForAnyValue__StringLike", None, False),
    ],
)
def test_holds_a_condition_to_several_values(operator, values, expected):
    document = condition(**{operator: {"route53:Names": ["*.example.com"]}})
    context = {} if values is None else {"route53:Names": values}
    assert allowed(document, "s3:GetObject", BUCKET, context=context) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1", True),
        ("arn:aws:ec2:eu-west-1:*:vpc/vpc-1", True),
        ("arn:aws:ec2:*:vpc/vpc-1", False),
        ("arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-2", False),
    ],
)
def test_compares_arns_part_by_part(pattern, expected):
    document = condition(ArnEquals={"ec2:Vpc": pattern})
    context = {"ec2:Vpc": "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1"}
    assert allowed(document, "s3:GetObject", BUCKET, context=context) is expected


def test_sees_each_resource_with_its_own_keys():
    document = condition(StringEquals={"aws:ResourceTag/Team": "web"})
    ours = Resource(BUCKET, {"aws:ResourceTag/Team": "web"})
    theirs = Resource("arn:aws:s3:::other", {"aws:ResourceTag/Team": "api"})
    assert allowed(document, "s3:GetObject", ours)
    assert not allowed(document, "s3:GetObject", ours, theirs)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (condition(DateEquals={"aws:x": "1"}), "condition operator DateEquals"),
        (condition(ForSome__StringEquals={"aws:x": "1"}), "condition operator ForSome"),
        (policy(Action="*", Resource="arn:aws:s3:::${aws:username}"), "policy variable"),
        (policy(Action="*", Resource="*", NotPrincipal="*"), "NotPrincipal"),
    ],
)
def test_refuses_what_it_cannot_judge(document, what):
    with pytest.raises(NotImplementedError, match=what):
        allowed(document, "s3:GetObject", BUCKET, context={"aws:x": "1"})


def test_refuses_several_values_where_iam_takes_one():
    document = condition(StringEquals={"aws:x": "1"})
    with pytest.raises(NotImplementedError, match="several values"):
        allowed(document, "s3:GetObject", BUCKET, context={"aws:x": ["1", "2"]})


@pytest.mark.parametrize(
    ("operator", "value", "is_allowed"),
    [
        ("StringEquals", "${aws:y}", True),
        ("StringEquals", "${aws:Y}", True),
        ("StringEquals", "${aws:none}", False),
        ("StringEquals", "${aws:none, 'one'}", True),
        ("StringLike", "${*}", False),
        ("STRINGEQUALS", "one", True),
        ("stringNotLike", "t*", True),
        ("StringEqualsIfExists", "two", False),
    ],
)
def test_reads_variables_and_any_letter_case(operator, value, is_allowed):
    [document] = condition(**{operator: {"AWS:X": value}})
    document = {**document, "Version": "2012-10-17"}
    context = {"aws:x": "one", "aws:y": "one"}
    assert allowed([document], "s3:GetObject", BUCKET, context=context) is is_allowed


TRUST = {
    "Statement": {
        "Effect": "Allow",
        "NotPrincipal": {"AWS": "111122223333"},
        "Action": "sts:AssumeRole",
    }
}


@pytest.mark.parametrize(
    ("kind", "name", "may"),
    [
        ("AWS", "arn:aws:iam::111122223333:role/x", False),
        ("AWS", "arn:aws:iam::444455556666:role/x", True),
        ("Service", "ec2.amazonaws.com", True),
    ],
)
def test_knows_whom_a_principal_means(kind, name, may):
    assert assumes(TRUST, Caller(kind, name), "sts:AssumeRole") is may
    everybody = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*"}]}
    assert not assumes(everybody, Caller(kind, name), "sts:AssumeRole")
