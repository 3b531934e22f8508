import pytest
from aws_cdk import Stack, aws_iam

from irsa_stack import InvalidInput, RoleDefaults, RootCaThumbprint
from tests.support.templates import app_with_flags, properties_of, types_of

URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
THUMBPRINT = "06b25927c42a721631c1efd9431e648fa62e1e39"
PEM = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


def test_two_issuers_share_one_function(stack):
    RootCaThumbprint(stack, "One", issuer_url=URL)
    RootCaThumbprint(stack, "Two", issuer_url="https://issuer.example.com")
    assert types_of(stack).count("AWS::Lambda::Function") == 1
    assert types_of(stack).count("Custom::RootCaThumbprint") == 2


def boundary(stack, name="boundary", identifier="Boundary"):
    return aws_iam.ManagedPolicy.from_managed_policy_arn(
        stack, identifier, f"arn:aws:iam::111122223333:policy/{name}"
    )


def test_other_settings_for_the_one_function_are_refused(stack):
    RootCaThumbprint(stack, "One", issuer_url=URL)
    roles = RoleDefaults(permissions_boundary=boundary(stack), path="/team/")
    with pytest.raises(InvalidInput) as caught:
        RootCaThumbprint(stack, "Two", issuer_url="https://issuer.example.com", roles=roles)
    [fault] = caught.value.faults
    assert fault.startswith("roles must be those of the stack's first EksOidcProvider")
    assert "got another permissions_boundary and path;" in fault


@pytest.mark.parametrize("says_nothing", [True, False])
def test_the_same_settings_serve_all(stack, says_nothing):
    RootCaThumbprint(
        stack,
        "One",
        issuer_url=URL,
        roles=RoleDefaults(permissions_boundary=boundary(stack), path="/team/"),
    )
    again = RoleDefaults(permissions_boundary=boundary(stack, identifier="Again"), path="/team/")
    roles = None if says_nothing else again
    RootCaThumbprint(stack, "Two", issuer_url="https://issuer.example.com", roles=roles)
    assert properties_of(stack, "AWS::IAM::Role")["Path"] == "/team/"


def test_a_computation_asks_for_no_more_than_it_is_told(stack):
    RootCaThumbprint(stack, "Thumbprint", issuer_url=URL)
    found = properties_of(stack, "Custom::RootCaThumbprint")
    assert set(found) == {"ServiceToken", "ServiceTimeout", "IssuerUrl"}


def test_everything_about_a_computation_reaches_the_function(stack):
    RootCaThumbprint(
        stack, "Thumbprint", issuer_url=URL, refresh="2026-11", ca_bundle=PEM,
        additional=[THUMBPRINT], allow_private=True,
    )  # fmt: skip
    found = properties_of(stack, "Custom::RootCaThumbprint")
    assert found["Refresh"] == "2026-11"
    assert found["CaBundle"] == PEM
    assert found["Additional"] == [THUMBPRINT]
    assert found["AllowPrivate"] == "true"


def test_the_function_has_no_permission_but_its_logs(stack):
    RootCaThumbprint(stack, "Thumbprint", issuer_url=URL)
    role = properties_of(stack, "AWS::IAM::Role")
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert "ManagedPolicyArns" not in role


def test_cloudformation_waits_longer_than_the_function_runs(stack):
    RootCaThumbprint(stack, "Thumbprint", issuer_url=URL)
    runs = properties_of(stack, "AWS::Lambda::Function")["Timeout"]
    assert int(properties_of(stack, "Custom::RootCaThumbprint")["ServiceTimeout"]) > runs


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"issuer_url": f"{URL}:8443"}, "issuer_url must have a plain path"),
        ({"ca_bundle": "ca.pem"}, "ca_bundle must be PEM text, got 'ca.pem'"),
        ({"additional": [THUMBPRINT.upper()]}, "additional must be 40 lower-case"),
        ({"additional": [f"{n:040x}" for n in range(5)]}, "additional must hold at most 4"),
    ],
)
def test_refuses_what_the_function_would_refuse(stack, kwargs, rule):
    with pytest.raises(InvalidInput) as caught:
        RootCaThumbprint(stack, "Thumbprint", **({"issuer_url": URL} | kwargs))
    assert caught.value.faults[0].startswith(rule)
