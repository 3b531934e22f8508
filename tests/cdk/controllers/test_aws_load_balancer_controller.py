import pytest
from aws_cdk import Stack, aws_iam

from irsa_stack import Ownership, ServiceAccounts
from irsa_stack.controllers import AwsLoadBalancerController
from irsa_stack.faults import InvalidInput
from tests.support import example_cluster
from tests.support.templates import app_with_flags, template_of


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack", env={"region": "eu-west-1", "account": "111122223333"})


@pytest.fixture
def define(stack):
    accounts = example_cluster.service_accounts(stack)
    return lambda **properties: AwsLoadBalancerController(
        stack,
        "Balancers",
        **{"service_accounts": accounts, "vpc_id": example_cluster.VPC_ID, **properties},
    )


def test_emits_what_the_chart_must_be_told(define):
    assert define().chart_values == {
        "clusterName": "payments-prod",
        "region": "eu-west-1",
        "vpcId": "vpc-0123456789abcdef0",
        "enableShield": True,
        "enableWaf": False,
        "enableWafv2": True,
        "serviceAccount": {"create": False, "name": "aws-load-balancer-controller"},
    }


def test_the_chart_and_the_policy_agree_on_waf_and_shield(stack, define):
    values = define(waf=False, shield=False).chart_values
    assert (values["enableShield"], values["enableWafv2"]) == (False, False)
    assert "wafv2:" not in str(template_of(stack))


def test_leaves_the_roles_inline_room_to_grants(stack, define):
    define()
    template = template_of(stack)
    policies = [
        key
        for key, one in template["Resources"].items()
        if one["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    assert len(policies) == 4
    [role] = [
        one["Properties"]
        for one in template["Resources"].values()
        if "WebIdentity" in str(one) and one["Type"] == "AWS::IAM::Role"
    ]
    assert "Policies" not in role
    assert len(role["ManagedPolicyArns"]) == 4


def test_its_policies_have_the_path_of_the_clusters_roles(stack):
    accounts = ServiceAccounts(
        stack,
        "ServiceAccounts",
        cluster=example_cluster.service_accounts(Stack(app_with_flags(), "Other")).cluster,
        oidc_provider=aws_iam.OpenIdConnectProvider.from_open_id_connect_provider_arn(
            stack,
            "Provider",
            "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ),
        path="/eks/",
    )
    AwsLoadBalancerController(
        stack,
        "Balancers",
        service_accounts=accounts,
        vpc_id=example_cluster.VPC_ID,
        ownership=Ownership.NONE,
    )
    paths = {
        one["Properties"].get("Path")
        for one in template_of(stack)["Resources"].values()
        if one["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Role")
    }
    assert paths == {"/eks/"}


def test_takes_a_region_that_is_not_the_stacks(define):
    assert define(region="eu-central-1").chart_values["region"] == "eu-central-1"


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"vpc_id": ""}, "vpc_id must be the id of the cluster's VPC"),
        ({"vpc_id": "vpc-*"}, "vpc_id must be the id of the cluster's VPC"),
        ({"vpc_owner": "me"}, "vpc_owner must be a 12-digit account, got 'me'"),
        ({"target_groups": ["*"]}, "target_groups must hold ARNs of single target groups"),
    ],
)
def test_refuses_a_scope_that_is_none(define, properties, fault):
    with pytest.raises(InvalidInput, match=fault):
        define(**properties)


def test_refuses_more_target_groups_than_a_policy_holds(define):
    groups = [
        f"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/legacy-{one}/0a1b"
        for one in range(60)
    ]
    with pytest.raises(InvalidInput, match="Balancers/LoadBalancers must be at most 6144"):
        define(target_groups=groups)
