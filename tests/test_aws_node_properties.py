import json

import pytest
from aws_cdk import Duration, Stack, Tags, aws_iam

from irsa_stack import AwsNodeAddon, AwsNodeRebinding, InvalidInput
from tests.support.clusters import service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import COMMERCIAL, Deployment

CNI = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
DOCUMENT = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def accounts(stack):
    return service_accounts(stack)


def deployment(stack):
    return Deployment({"Stack": template_of(stack)}, COMMERCIAL)


def properties(stack, resource_type, containing=""):
    found = deployment(stack)
    [resource] = [
        found.value("Stack", body["Properties"])
        for _, _, body in found.resources(resource_type)
        if containing in json.dumps(body)
    ]
    return resource


def rebind(stack, accounts, **kwargs):
    return AwsNodeRebinding(stack, "AwsNode", service_accounts=accounts, **kwargs)


def node_role(stack):
    return aws_iam.Role.from_role_name(stack, "Nodes", "payments-nodes")


def test_the_role_of_aws_node_has_the_cni_policy(stack, accounts):
    rebind(stack, accounts)
    assert properties(stack, "AWS::IAM::Role", "WebIdentity")["ManagedPolicyArns"] == [CNI]


def test_a_document_of_ones_own_takes_the_policys_place(stack, accounts):
    rebind(stack, accounts, ip_family="ipv6", cni_policy=DOCUMENT)
    role = properties(stack, "AWS::IAM::Role", "WebIdentity")
    assert "ManagedPolicyArns" not in role
    assert [policy["PolicyName"] for policy in role["Policies"]] == ["Cni"]


def test_the_transaction_is_one_custom_resource(stack, accounts):
    rebind(stack, accounts, node_roles=[node_role(stack)])
    found = properties(stack, "Custom::AwsNodeRebinding")
    assert found["Cluster"]["Name"] == "payments-prod"
    assert found["NodeRoleNames"] == ["payments-nodes"]
    assert found["PolicyArns"] == [CNI]
    assert found["RolloutTimeoutSeconds"] == "780"


def test_a_rollout_may_be_given_less_time(stack, accounts):
    rebind(stack, accounts, rollout_timeout=Duration.minutes(2))
    assert properties(stack, "Custom::AwsNodeRebinding")["RolloutTimeoutSeconds"] == "120"


def test_the_function_enters_kube_system_only(stack, accounts):
    rebind(stack, accounts)
    [policy] = properties(stack, "AWS::EKS::AccessEntry")["AccessPolicies"]
    assert policy["AccessScope"] == {"Type": "namespace", "Namespaces": ["kube-system"]}


def test_the_function_has_access_before_it_is_called(stack, accounts):
    rebind(stack, accounts)
    [custom] = [body for _, _, body in deployment(stack).resources("Custom::AwsNodeRebinding")]
    assert any("Access" in key for key in custom["DependsOn"])


def test_the_addon_carries_the_role(stack, accounts):
    AwsNodeAddon(stack, "AwsNode", service_accounts=accounts, addon_version="v1.22.1-eksbuild.1")
    found = properties(stack, "AWS::EKS::Addon")
    assert found["AddonName"] == "vpc-cni"
    assert found["AddonVersion"] == "v1.22.1-eksbuild.1"
    assert ":role/" in found["ServiceAccountRoleArn"]
    assert found["PreserveOnDelete"] is True


def test_the_addon_needs_no_function(stack, accounts):
    AwsNodeAddon(stack, "AwsNode", service_accounts=accounts)
    assert {body["Type"] for _, _, body in deployment(stack).resources()} == {
        "AWS::EKS::Addon",
        "AWS::IAM::Role",
    }


def test_tags_of_a_scope_reach_addon_and_access_entry(stack, accounts):
    AwsNodeAddon(stack, "Addon", service_accounts=accounts)
    accounts.add("Api", namespace="apps", name="api")
    Tags.of(stack).add("Team", "platform")
    for resource_type in ("AWS::EKS::Addon", "AWS::EKS::AccessEntry"):
        assert properties(stack, resource_type)["Tags"] == [{"Key": "Team", "Value": "platform"}]


@pytest.mark.parametrize("construct", [AwsNodeRebinding, AwsNodeAddon])
@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"ip_family": "ipv5"}, "ip_family must be 'ipv4' or 'ipv6', got 'ipv5'"),
        ({"ip_family": "ipv6"}, "cni_policy must be given for ipv6"),
    ],
)
def test_refuses_an_address_family_without_a_policy(stack, accounts, construct, kwargs, rule):
    with pytest.raises(InvalidInput) as caught:
        construct(stack, "AwsNode", service_accounts=accounts, **kwargs)
    assert caught.value.faults[0].startswith(rule)


@pytest.mark.parametrize("seconds", [0, 781])
def test_refuses_a_rollout_that_leaves_no_time_to_undo(stack, accounts, seconds):
    with pytest.raises(InvalidInput, match="rollout_timeout must be 1-780 seconds"):
        rebind(stack, accounts, rollout_timeout=Duration.seconds(seconds))


def test_refuses_to_resolve_conflicts_in_an_unknown_way(stack, accounts):
    with pytest.raises(InvalidInput, match="resolve_conflicts must be NONE"):
        AwsNodeAddon(stack, "AwsNode", service_accounts=accounts, resolve_conflicts="MERGE")


def test_refuses_aws_node_as_an_account_of_its_own_too(stack, accounts):
    accounts.add("AwsNode", namespace="kube-system", name="aws-node")
    with pytest.raises(InvalidInput, match="must not hold 'kube-system/aws-node' beside"):
        rebind(stack, accounts)
