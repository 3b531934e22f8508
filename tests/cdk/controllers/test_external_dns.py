import pytest
from aws_cdk import Stack, aws_route53

from irsa_stack.controllers import ExternalDns
from irsa_stack.faults import InvalidInput
from tests.support import example_cluster
from tests.support.templates import app_with_flags

ZONE = "Z0123456789ABCDEFGHIJ"
ROLE = "arn:aws:iam::444455556666:role/external-dns"


@pytest.fixture(scope="module")
def stack():
    return Stack(app_with_flags(), "Stack", env={"region": "eu-west-1", "account": "111122223333"})


@pytest.fixture(scope="module")
def accounts(stack):
    return example_cluster.service_accounts(stack)


@pytest.fixture
def define(stack, accounts, request):
    def define(**properties):
        account = request.node.name.translate(str.maketrans("_[", "--", "]")).lower()
        return ExternalDns(
            stack, account, service_accounts=accounts, service_account=account, **properties
        )

    return define


def test_emits_what_the_chart_must_be_told(define):
    dns = define(hosted_zones=[ZONE])

    assert dns.chart_values == {
        "provider": {"name": "aws"},
        "policy": "upsert-only",
        "registry": "txt",
        "txtOwnerId": "payments-prod",
        "extraArgs": {"zone-id-filter": [ZONE]},
        "env": [{"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"}],
        "serviceAccount": {"create": False, "name": dns.identity.name},
    }


def test_tells_the_chart_what_the_policy_is_held_to(define):
    values = define(
        hosted_zones=[ZONE],
        record_names=["*.apps.example.com"],
        record_types=["A", "CNAME"],
        txt_prefix="txt-",
        owner_id="blue",
        record_policy="sync",
    ).chart_values

    assert values["managedRecordTypes"] == ["A", "CNAME"]
    assert values["txtPrefix"] == "txt-"
    assert values["txtOwnerId"] == "blue"
    assert values["policy"] == "sync"


def test_reaches_another_account_through_its_role(define):
    assert define(assume_roles=[ROLE]).chart_values["extraArgs"] == {"aws-assume-role": ROLE}


def test_leaves_the_choice_of_several_roles_to_profiles(define):
    assert define(assume_roles=[ROLE, ROLE + "-2"]).chart_values["extraArgs"] == {}


def test_takes_a_zone_of_the_same_app(stack, define):
    zone = aws_route53.PublicHostedZone(stack, "Zone", zone_name="example.com")

    dns = define(hosted_zones=[zone, f"arn:aws:route53:::hostedzone/{ZONE}"])

    assert stack.resolve(dns.chart_values["extraArgs"]["zone-id-filter"]) == [
        {"Ref": stack.get_logical_id(zone.node.default_child)},
        ZONE,
    ]


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({}, "hosted_zones must name at least one zone"),
        ({"hosted_zones": ZONE}, "hosted_zones must be a list"),
        ({"hosted_zones": ["*"]}, "hosted_zones must hold ids"),
        (
            {"hosted_zones": [ZONE], "record_policy": "delete"},
            "record_policy must be of upsert-only, create-only, sync, got 'delete'",
        ),
    ],
    ids=["none", "text", "all", "policy"],
)
def test_refuses(define, properties, fault):
    with pytest.raises(InvalidInput, match=fault):
        define(**properties)
