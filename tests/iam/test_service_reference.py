"""IAM content against AWS's service authorization reference."""

import pytest

from irsa_stack.iam import service_reference
from irsa_stack.iam.aws_managed_policies import unknown_policy
from irsa_stack.iam.service_reference import (
    action_faults,
    condition_faults,
    resource_faults,
    unknown_services,
)

QUEUE = "arn:aws:sqs:eu-west-1:111122223333:orders"


@pytest.mark.parametrize(
    ("action", "meant"),
    [
        ("s3:GetObjct", "did you mean 's3:GetObject'?"),
        ("secretsmanager:GetSecretValu", "did you mean 'secretsmanager:GetSecretValue'?"),
        ("s3:Gte*", "must match an action of s3"),
    ],
)
def test_refuses_an_action_that_the_service_lacks(action, meant):
    [fault] = action_faults(action)
    assert meant in fault


@pytest.mark.parametrize(
    "action",
    ["s3:GetObject", "S3:getobject", "s3:Get*", "s3:*", "s33:GetObject", "sqs:?endMessage"],
)
def test_accepts_an_action_that_may_be(action):
    assert list(action_faults(action)) == []


def test_warns_of_a_service_that_the_data_lack():
    [warning] = unknown_services(["s33:GetObject", "s3:GetObject", "s33:PutObject"])
    assert "'s33'" in warning
    assert "did you mean 's3'?" in warning


STATEMENTS = {
    "a name for an ARN": (["s3:GetObject"], ["payments/*"], "resources[0] must be an ARN or '*'"),
    "a bucket for its objects": (["s3:GetObject"], ["arn:aws:s3:::b"], "resources[0] must be of"),
    "objects for their bucket": (
        ["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::b/*"],
        "actions[1] must have a resource of its kind",
    ),
    "another service's resource": (["s3:GetObject"], [QUEUE], "arn:${Partition}:s3:::"),
    "a resource for an action that has none": (
        ["s3:ListAllMyBuckets"], ["arn:aws:s3:::b"], "actions[0] must have resource '*'"
    ),
    "a bucket in a region": (["s3:GetObject"], ["arn:aws:s3:eu-west-1::b/*"], "resources[0]"),
}  # fmt: skip


@pytest.mark.parametrize(("actions", "resources", "rule"), STATEMENTS.values(), ids=STATEMENTS)
def test_refuses_resources_and_actions_that_do_not_fit(actions, resources, rule):
    [fault] = resource_faults(actions, resources)
    assert rule in fault


@pytest.mark.parametrize(
    ("actions", "resources"),
    [
        (["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]),
        (["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::b*"]),
        (["s3:GetObject"], ["*"]),
        (["s3:*"], ["arn:aws:s3:::b"]),
        (["new:Thing"], ["arn:aws:new:::x"]),
        (["dynamodb:GetItem"], ["arn:aws:dynamodb:*:*:table/orders"]),
        (["ssm:GetParameter"], ["arn:aws:ssm:us-east-1:111122223333:parameter/a/b/c"]),
        (["sqs:ReceiveMessage", "sqs:DeleteMessage"], [QUEUE]),
        (["s3:GetObject"], ["arn:aws-cn:s3:::b/${aws:PrincipalTag/team}/*"]),
        (
            ["secretsmanager:GetSecretValue"],
            ["arn:aws:secretsmanager:*:*:secret:a-??????"],
        ),
    ],
)
def test_accepts_resources_that_fit(actions, resources):
    assert list(resource_faults(actions, resources)) == []


CONDITIONS = {
    "an operator": ({"StringEqual": {"kms:ViaService": "x"}}, ("StringEqual",), "'StringEquals'?"),
    "a key": (
        {"StringEquals": {"kms:ViaServce": "x"}}, ("StringEquals", "kms:ViaServce"),
        "did you mean 'kms:ViaService'?",
    ),
    "a global key": (
        {"Bool": {"aws:SecureTransprt": "true"}}, ("Bool", "aws:SecureTransprt"),
        "'aws:SecureTransport'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("conditions", "place", "meant"), CONDITIONS.values(), ids=CONDITIONS)
def test_refuses_conditions_that_are_none(conditions, place, meant):
    [(found, fault)] = condition_faults(conditions, ["kms:Decrypt"])
    assert found == place
    assert meant in fault


@pytest.mark.parametrize(
    "conditions",
    [
        {"ForAnyValue:StringEqualsIfExists": {"kms:ViaService": "x"}},
        {"StringLike": {"aws:PrincipalTag/team": "y"}},
        {"stringequals": {"KMS:viaservice": "x"}},
        {"StringEquals": {"kms:EncryptionContext:anything": "x"}},
    ],
)
def test_accepts_conditions_that_are_known(conditions):
    assert list(condition_faults(conditions, ["kms:Decrypt"])) == []


def test_refuses_nothing_without_the_data(monkeypatch):
    monkeypatch.setattr(service_reference, "_data", lambda: None)
    for cached in ("_actions", "_condition_keys", "_resource_arns"):
        getattr(service_reference, cached).cache_clear()
    try:
        assert list(action_faults("s3:GetObjct")) == []
        assert list(unknown_services(["s33:GetObject"])) == []
        assert list(condition_faults({"Bool": {"aws:x": "1"}}, ["s3:GetObject"])) == []
    finally:
        for cached in ("_actions", "_condition_keys", "_resource_arns"):
            getattr(service_reference, cached).cache_clear()


@pytest.mark.parametrize(
    ("arn", "meant"),
    [
        ("arn:aws:iam::aws:policy/CloudWatchReadOnlyAcess", "policy/CloudWatchReadOnlyAccess?"),
        (
            "arn:aws-cn:iam::aws:policy/AmazonEBSCSIDriverPolicy",
            "did you mean arn:aws-cn:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy?",
        ),
    ],
)
def test_warns_of_an_aws_managed_policy_that_the_list_lacks(arn, meant):
    [warning] = unknown_policy(arn)
    assert meant in warning


@pytest.mark.parametrize(
    "arn",
    ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "arn:aws:iam::111122223333:policy/Own"],
)
def test_says_nothing_of_policies_that_are_known_or_ones_own(arn):
    assert list(unknown_policy(arn)) == []
