import json

import pytest
from aws_cdk import Aws, Stack

from irsa_stack import AwsNodeRebinding, Ownership
from irsa_stack.controllers import VpcCni, vpc_cni, vpc_cni_policy
from irsa_stack.controllers.statements import Place
from irsa_stack.faults import InvalidInput
from tests.support import example_cluster
from tests.support.templates import app_with_flags, synthesise, template_of
from tests.support.trust_resolver import ACCOUNT, Deployment

HERE = Place(partition="aws", region="eu-west-1", account=ACCOUNT)


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def define(stack):
    accounts = example_cluster.service_accounts(stack)
    return lambda **properties: VpcCni(stack, "Cni", service_accounts=accounts, **properties)


def role_of(template):
    [role] = [
        one["Properties"]
        for one in template["Resources"].values()
        if one["Type"] == "AWS::IAM::Role" and "WebIdentity" in str(one)
    ]
    return role


def batch_of(template):
    [batch] = [
        one["Properties"]["ServiceAccounts"]
        for one in template["Resources"].values()
        if one["Type"] == "Custom::ServiceAccounts"
    ]
    return batch


def test_holds_the_policy_that_aws_keeps_for_ipv4(stack, define):
    define()
    role = role_of(template_of(stack))
    [arn] = role["ManagedPolicyArns"]
    assert Deployment({"Stack": {}}).value("Stack", arn) == (
        "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
    )
    assert "Policies" not in role


def test_holds_a_policy_of_its_own_for_ipv6(stack, define):
    define(ip_family="ipv6")
    role = role_of(template_of(stack))
    [policy] = role["Policies"]
    document = Deployment({"Stack": {}}).value("Stack", policy["PolicyDocument"])
    assert document == vpc_cni.policy_documents(place=HERE, ip_family="ipv6")["VpcCni"]
    assert "ManagedPolicyArns" not in role


def test_annotates_the_account_that_eks_made_and_restarts_the_daemonset(stack, define):
    define()
    [entry] = batch_of(template_of(stack)).values()
    assert entry["Ownership"] == "ADOPT"
    assert entry["Restart"] == ["daemonset/aws-node"]


@pytest.mark.parametrize("ownership", [Ownership.CREATE, "CREATE"])
def test_never_owns_the_account(define, ownership):
    with pytest.raises(InvalidInput, match=r"ownership must not be CREATE .* ADOPT it"):
        define(ownership=ownership)


@pytest.mark.parametrize(
    ("ip_family", "environment"),
    [
        ("ipv4", {"CLUSTER_NAME": "payments-prod"}),
        (
            "ipv6",
            {
                "CLUSTER_NAME": "payments-prod",
                "ENABLE_IPv4": "false",
                "ENABLE_IPv6": "true",
                "ENABLE_PREFIX_DELEGATION": "true",
            },
        ),
    ],
)
def test_emits_what_the_chart_must_be_told(define, ip_family, environment):
    assert define(ip_family=ip_family).chart_values == {
        "env": environment,
        "serviceAccount": {"create": False, "name": "aws-node"},
    }


def test_needs_a_vpc_to_be_held_to_one_cluster(define):
    with pytest.raises(InvalidInput, match="vpc_id must be the id of the cluster's VPC"):
        define(cluster_scoped=True)


@pytest.mark.parametrize("ip_family", ["ipv4", "ipv6"])
def test_its_policy_serves_the_rebinding_of_aws_node(ip_family):
    policy = vpc_cni_policy(
        ip_family, cluster_name=example_cluster.NAME, vpc_id=example_cluster.VPC_ID
    )
    template = synthesise(
        lambda stack: AwsNodeRebinding(
            stack,
            "AwsNode",
            service_accounts=example_cluster.service_accounts(stack),
            ip_family=ip_family,
            cni_policy=policy,
        )
    )
    [held] = role_of(template)["Policies"]
    document = Deployment({"Stack": template}).value("Stack", held["PolicyDocument"])
    assert document == vpc_cni.policy_documents(
        place=HERE,
        ip_family=ip_family,
        cluster_scoped=True,
        cluster_name=example_cluster.NAME,
        vpc_id=example_cluster.VPC_ID,
    )["VpcCni"]  # fmt: skip


def test_its_policy_takes_names_that_are_known_at_deploy_only():
    policy = vpc_cni_policy("ipv4", cluster_name=Aws.STACK_NAME, vpc_id=example_cluster.VPC_ID)
    deployment = Deployment({"payments-prod": {}})
    document = json.loads(deployment.value("payments-prod", Stack().resolve(policy)))
    assert document == vpc_cni.policy_documents(
        place=HERE,
        cluster_scoped=True,
        name="payments-prod",
        vpc_id=example_cluster.VPC_ID,
    )["VpcCni"]  # fmt: skip


def test_has_no_policy_where_aws_keeps_one():
    with pytest.raises(InvalidInput, match="cluster_name must be given with ip_family='ipv4'"):
        vpc_cni_policy("ipv4")
