"""Every policy of the catalogue against AWS's own reference, in three partitions."""

import re

import pytest

from irsa_stack.controllers import (
    aws_load_balancer_controller,
    cluster_autoscaler,
    external_dns,
    vpc_cni,
)
from irsa_stack.controllers.statements import Place
from irsa_stack.iam.quotas import MANAGED_POLICY_CHARACTERS, document_characters
from tests.support.iam_reference import (
    action_details,
    findings,
    has_resource_level,
    knows_condition_key,
    writes,
)

PLACES = {
    "aws": Place(partition="aws", region="eu-west-1", account="111122223333"),
    "aws-cn": Place(partition="aws-cn", region="cn-north-1", account="111122223333"),
    "aws-us-gov": Place(partition="aws-us-gov", region="us-gov-west-1", account="111122223333"),
}
CLUSTER, VPC = "payments-prod", "vpc-0123456789abcdef0"
TARGET_GROUP = "arn:{0.partition}:elasticloadbalancing:{0.region}:{0.account}:targetgroup/legacy/0a"

VARIANTS = {
    "external-dns": lambda place: external_dns.policy_documents(
        partition=place.partition, hosted_zones=["Z0123456789ABCDEFGHIJ"]
    ),
    "external-dns, names, types and another account": lambda place: external_dns.policy_documents(
        partition=place.partition,
        hosted_zones=["Z0123456789ABCDEFGHIJ"],
        record_names=["*.apps.example.com", "api.example.com"],
        record_types=["A", "CNAME"],
        assume_roles=[f"arn:{place.partition}:iam::444455556666:role/external-dns"],
    ),
    "cluster-autoscaler": lambda place: cluster_autoscaler.policy_documents(
        place=place, cluster_name=CLUSTER
    ),
    "cluster-autoscaler, tags": lambda place: cluster_autoscaler.policy_documents(
        place=place,
        cluster_name=CLUSTER,
        node_group_tags={f"kubernetes.io/cluster/{CLUSTER}": "owned", "Team": "web"},
    ),
    "aws-load-balancer-controller": lambda place: aws_load_balancer_controller.policy_documents(
        place=place, cluster_name=CLUSTER, vpc_id=VPC
    ),
    "aws-load-balancer-controller, everything": (
        lambda place: aws_load_balancer_controller.policy_documents(
            place=place,
            cluster_name=CLUSTER,
            vpc_id=VPC,
            target_groups=[TARGET_GROUP.format(place)],
            waf=True,
            shield=True,
        )
    ),
    "vpc-cni, IPv6": lambda place: vpc_cni.policy_documents(place=place, ip_family="ipv6"),
    "vpc-cni, one cluster": lambda place: vpc_cni.policy_documents(
        place=place, cluster_scoped=True, cluster_name=CLUSTER, vpc_id=VPC
    ),
    "vpc-cni, IPv6, one cluster": lambda place: vpc_cni.policy_documents(
        place=place, ip_family="ipv6", cluster_scoped=True, cluster_name=CLUSTER, vpc_id=VPC
    ),
}
WILDCARDS = {
    "external-dns": external_dns.WILDCARDS,
    "cluster-autoscaler": cluster_autoscaler.WILDCARDS,
    "aws-load-balancer-controller": aws_load_balancer_controller.WILDCARDS,
    "vpc-cni": vpc_cni.WILDCARDS,
}

# Writes that no policy can hold to a resource, or that AWS evaluates no condition key for.
UNSCOPED_WRITES = {
    "elasticloadbalancing:SetWebAcl": "ELB has no resource type for it",
    "shield:CreateProtection": "Shield has no resource type for it",
}
UNCONDITIONED_WRITES = {
    "elasticloadbalancing:SetRulePriorities": "ELB evaluates no tags for it",
    "wafv2:AssociateWebACL": "WAF evaluates no tags for it",
    "wafv2:DisassociateWebACL": "WAF evaluates no tags for it",
    "shield:DeleteProtection": "the controller does not tag its protections",
    # Without a cluster, as upstream has it; held to one with cluster_scoped.
    "ec2:AssignIpv6Addresses": "interfaces bear no tag unless CLUSTER_NAME is set",
    "ec2:CreateTags": "interfaces bear no tag unless CLUSTER_NAME is set",
    "ec2:ModifyNetworkInterfaceAttribute": "interfaces bear no tag unless CLUSTER_NAME is set",
}

EVERY = [
    pytest.param(partition, document, id=f"{variant}/{name}/{partition}")
    for variant, make in VARIANTS.items()
    for partition, place in PLACES.items()
    for name, document in make(place).items()
]
STATEMENTS = {
    f"{variant}/{statement['Sid']}": statement
    for variant, make in VARIANTS.items()
    for document in make(PLACES["aws"]).values()
    for statement in document["Statement"]
}
every_document = pytest.mark.parametrize(
    "document", [pytest.param(parameter.values[1], id=parameter.id) for parameter in EVERY]
)
every_statement = pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)


# Reads that AWS's own AmazonEKSLoadBalancingPolicy allows on all resources, or that are asked by
# load balancer, for a protection that may not exist.
READS_ON_ALL = {
    ("RESOURCE_STAR", "['shield:DescribeProtection']"),
    ("RESOURCE_STAR", "['wafv2:GetWebACL', 'wafv2:GetWebACLForResource']"),
}


@every_document
def test_parliament_finds_nothing(document):
    assert set(findings(document)) <= READS_ON_ALL


@every_document
def test_fits_a_managed_policy(document):
    assert document_characters(document) <= MANAGED_POLICY_CHARACTERS


@every_document
def test_names_each_statement_once(document):
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


@pytest.mark.parametrize(("partition", "document"), EVERY)
def test_stays_in_its_partition(partition, document):
    assert set(re.findall("arn:([a-z-]+):", str(document))) <= {partition}


@every_statement
def test_every_action_exists(statement):
    assert [action for action in statement["Action"] if action_details(action) is None] == []


@every_statement
def test_every_condition_key_is_evaluated_for_every_action(statement):
    keys = [key for tests in statement.get("Condition", {}).values() for key in tests]
    unknown = [
        (action, key)
        for action in statement["Action"]
        for key in keys
        if not knows_condition_key(action, key)
    ]
    assert unknown == []


@every_statement
def test_never_names_all_resources_or_all_actions_without_need(statement):
    assert all("*" not in action for action in statement["Action"])
    if statement["Resource"] == ["*"]:
        needless = [
            action
            for action in statement["Action"]
            if writes(action) and has_resource_level(action)
        ]
        assert needless == []


@every_statement
def test_every_write_is_held_to_resources_and_conditions(statement):
    one_by_one = all("*" not in resource.rpartition("/")[2] for resource in statement["Resource"])
    if one_by_one or "Condition" in statement:
        return
    excused = {**UNSCOPED_WRITES, **UNCONDITIONED_WRITES}
    assert {action for action in statement["Action"] if writes(action)} <= excused.keys()


@pytest.mark.parametrize("action", UNSCOPED_WRITES)
def test_an_excused_action_has_no_resource_level(action):
    assert not has_resource_level(action)


@pytest.mark.parametrize(
    "action",
    [
        "elasticloadbalancing:SetRulePriorities",
        "wafv2:AssociateWebACL",
        "wafv2:DisassociateWebACL",
    ],
)
def test_an_excused_action_knows_no_tag(action):
    assert not knows_condition_key(action, "aws:ResourceTag/elbv2.k8s.aws/cluster")


@pytest.mark.parametrize("controller", WILDCARDS)
def test_gives_the_reason_for_each_wildcard_and_for_nothing_else(controller):
    wild = {
        statement["Sid"]
        for where, statement in STATEMENTS.items()
        if where.startswith(controller)
        and any("*" in resource for resource in statement["Resource"])
    }
    assert wild == WILDCARDS[controller].keys()


# What upstream's policies name, and what of it is left out or added here, each with its reason.
UPSTREAM = {
    "external-dns": (
        """route53:ChangeResourceRecordSets route53:ListResourceRecordSets
        route53:ListTagsForResources route53:ListHostedZones""",
        {},
        {"sts:AssumeRole": "--aws-assume-role, for zones of other accounts"},
    ),
    "cluster-autoscaler": (
        """autoscaling:DescribeAutoScalingGroups autoscaling:DescribeAutoScalingInstances
        autoscaling:DescribeLaunchConfigurations autoscaling:DescribeScalingActivities
        autoscaling:SetDesiredCapacity autoscaling:TerminateInstanceInAutoScalingGroup
        ec2:DescribeImages ec2:DescribeInstanceTypes ec2:DescribeLaunchTemplateVersions
        ec2:GetInstanceTypesFromInstanceRequirements eks:DescribeNodegroup""",
        {},
        {},
    ),
    "vpc-cni": (
        """ec2:AssignPrivateIpAddresses ec2:AttachNetworkInterface ec2:CreateNetworkInterface
        ec2:DeleteNetworkInterface ec2:DescribeInstances ec2:DescribeTags
        ec2:DescribeNetworkInterfaces ec2:DescribeInstanceTypes ec2:DescribeSecurityGroups
        ec2:DescribeSubnets ec2:DetachNetworkInterface ec2:ModifyNetworkInterfaceAttribute
        ec2:UnassignPrivateIpAddresses ec2:CreateTags ec2:AssignIpv6Addresses""",
        {},
        {"ec2:UnassignIpv6Addresses": "frees a prefix; only of the cluster's own interfaces"},
    ),
    "aws-load-balancer-controller": (
        """iam:CreateServiceLinkedRole ec2:DescribeAccountAttributes ec2:DescribeAddresses
        ec2:DescribeAvailabilityZones ec2:DescribeInternetGateways ec2:DescribeVpcs
        ec2:DescribeVpcPeeringConnections ec2:DescribeSubnets ec2:DescribeSecurityGroups
        ec2:DescribeInstances ec2:DescribeNetworkInterfaces ec2:DescribeTags ec2:GetCoipPoolUsage
        ec2:DescribeCoipPools ec2:GetSecurityGroupsForVpc ec2:DescribeIpamPools
        ec2:DescribeRouteTables elasticloadbalancing:DescribeLoadBalancers
        elasticloadbalancing:DescribeLoadBalancerAttributes elasticloadbalancing:DescribeListeners
        elasticloadbalancing:DescribeListenerCertificates elasticloadbalancing:DescribeSSLPolicies
        elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups
        elasticloadbalancing:DescribeTargetGroupAttributes elasticloadbalancing:DescribeTags
        elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:DescribeTrustStores
        elasticloadbalancing:DescribeListenerAttributes
        elasticloadbalancing:DescribeCapacityReservation cognito-idp:DescribeUserPoolClient
        acm:ListCertificates acm:DescribeCertificate iam:ListServerCertificates
        iam:GetServerCertificate waf-regional:GetWebACL waf-regional:GetWebACLForResource
        waf-regional:AssociateWebACL waf-regional:DisassociateWebACL wafv2:GetWebACL
        wafv2:GetWebACLForResource wafv2:AssociateWebACL wafv2:DisassociateWebACL
        shield:GetSubscriptionState shield:DescribeProtection shield:CreateProtection
        shield:DeleteProtection ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupIngress
        ec2:CreateSecurityGroup ec2:CreateTags ec2:DeleteTags ec2:DeleteSecurityGroup
        elasticloadbalancing:CreateLoadBalancer elasticloadbalancing:CreateTargetGroup
        elasticloadbalancing:CreateListener elasticloadbalancing:DeleteListener
        elasticloadbalancing:CreateRule elasticloadbalancing:DeleteRule
        elasticloadbalancing:AddTags elasticloadbalancing:RemoveTags
        elasticloadbalancing:ModifyLoadBalancerAttributes elasticloadbalancing:SetIpAddressType
        elasticloadbalancing:SetSecurityGroups elasticloadbalancing:SetSubnets
        elasticloadbalancing:DeleteLoadBalancer elasticloadbalancing:ModifyTargetGroup
        elasticloadbalancing:ModifyTargetGroupAttributes elasticloadbalancing:DeleteTargetGroup
        elasticloadbalancing:ModifyListenerAttributes elasticloadbalancing:ModifyIpPools
        elasticloadbalancing:ModifyCapacityReservation elasticloadbalancing:RegisterTargets
        elasticloadbalancing:DeregisterTargets elasticloadbalancing:SetWebAcl
        elasticloadbalancing:ModifyListener elasticloadbalancing:AddListenerCertificates
        elasticloadbalancing:RemoveListenerCertificates elasticloadbalancing:ModifyRule
        elasticloadbalancing:SetRulePriorities""",
        {
            "waf-regional:GetWebACL": "WAF Classic has ended",
            "waf-regional:GetWebACLForResource": "WAF Classic has ended",
            "waf-regional:AssociateWebACL": "WAF Classic has ended",
            "waf-regional:DisassociateWebACL": "WAF Classic has ended",
        },
        {"wafv2:ListWebACLs": "finds a web ACL by its name, since v2.15"},
    ),
}


@pytest.mark.parametrize("controller", UPSTREAM)
def test_differs_from_upstream_only_for_a_reason(controller):
    upstream, left_out, added = UPSTREAM[controller]
    ours = {
        action
        for where, statement in STATEMENTS.items()
        if where.startswith(controller)
        for action in statement["Action"]
    }
    assert ours == set(upstream.split()) - left_out.keys() | added.keys()
