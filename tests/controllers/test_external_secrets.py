import pytest

from irsa_stack.controllers import ExternalSecrets
from irsa_stack.faults import InvalidInput
from tests.support.controllers import OTHER_ACCOUNT, arn, documents
from tests.support.iam_evaluator import Resource, allowed

KEY, ROLE = arn("kms", "key/0a1b"), "arn:aws:iam::444455556666:role/secrets"


def everything(location):
    return ExternalSecrets(
        secrets=[
            location.arn("secretsmanager", "secret:payments/*"),
            location.arn("secretsmanager", "secret:tls-??????"),
        ],
        parameters=[location.arn("ssm", "parameter/payments/*")],
        kms_keys=[location.arn("kms", "key/0a1b")],
        find=True,
        assume_roles=[f"arn:{location.partition}:iam::444455556666:role/secrets"],
    )


SPECS = {
    "everything": everything,
    "one path": lambda location: ExternalSecrets(
        secrets=[location.arn("secretsmanager", "secret:payments/*")]
    ),
}
GET = "secretsmanager:GetSecretValue"


def secret(name, **where):
    return arn("secretsmanager", f"secret:{name}", **where)


def key(service):
    return Resource(KEY, {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"})


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        (GET, secret("payments/db-a1B2c3"), True),
        ("secretsmanager:DescribeSecret", secret("payments/db-a1B2c3"), True),
        (GET, secret("tls-a1B2c3"), True),
        (GET, secret("tls-other-a1B2c3"), False),
        (GET, secret("payments-a1B2c3"), False),
        (GET, secret("orders/db-a1B2c3"), False),  # another team's
        (GET, secret("payments/db-a1B2c3", account=OTHER_ACCOUNT), False),
        (GET, secret("payments/db-a1B2c3", region="us-east-1"), False),
        ("secretsmanager:PutSecretValue", secret("payments/db-a1B2c3"), False),
        ("secretsmanager:DeleteSecret", secret("payments/db-a1B2c3"), False),
        ("secretsmanager:GetResourcePolicy", secret("payments/db-a1B2c3"), False),
        ("secretsmanager:ListSecrets", "*", True),
        ("ssm:GetParameter", arn("ssm", "parameter/payments/db"), True),
        ("ssm:GetParametersByPath", arn("ssm", "parameter/payments/db"), True),
        ("ssm:GetParameter", arn("ssm", "parameter/orders/db"), False),
        ("ssm:PutParameter", arn("ssm", "parameter/payments/db"), False),
        ("kms:Decrypt", key("secretsmanager"), True),
        ("kms:Decrypt", key("ssm"), True),
        ("kms:Decrypt", key("s3"), False),
        ("kms:Decrypt", KEY, False),
        ("kms:Encrypt", key("ssm"), False),
        ("sts:AssumeRole", ROLE, True),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/admin", False),
    ],
)
def test_reads_what_is_named_and_no_other(action, resource, expected):
    assert allowed(documents(everything_here()), action, resource) is expected


def everything_here():
    from tests.support.controllers import IRELAND

    return everything(IRELAND)


@pytest.mark.parametrize(
    "action",
    [
        "secretsmanager:ListSecrets",
        "secretsmanager:BatchGetSecretValue",
        "ssm:DescribeParameters",
        "kms:Decrypt",
        "sts:AssumeRole",
    ],
)
def test_does_not_list_the_account_unless_asked(action):
    held = documents(ExternalSecrets(secrets=[arn("secretsmanager", "secret:payments/*")]))
    assert not allowed(held, action, "*")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "secrets must name at least one"),
        ({"secrets": ["*"]}, "secrets must be such as"),
        ({"secrets": [arn("secretsmanager", "secret:*")]}, "secrets must be such as"),
        ({"secrets": [arn("secretsmanager", "secret:payments*")]}, "end it with /\\* for a path"),
        ({"parameters": [arn("ssm", "parameter/*")]}, "parameters must be such as"),
        ({"kms_keys": ["*"]}, "kms_keys must be such as"),
    ],
)
def test_refuses_a_scope_that_is_none(options, fault):
    with pytest.raises(InvalidInput, match=fault):
        ExternalSecrets(**options)


# The calls of its own source, for reading.
UPSTREAM = """
    kms:Decrypt secretsmanager:BatchGetSecretValue secretsmanager:DescribeSecret
    secretsmanager:GetSecretValue secretsmanager:ListSecrets ssm:DescribeParameters ssm:GetParameter
    ssm:GetParametersByPath ssm:ListTagsForResource sts:AssumeRole
"""
