import pytest

from irsa_stack.controllers import Karpenter
from irsa_stack.faults import InvalidInput
from tests.support.controllers import (
    ASK_OURS,
    ASK_THEIRS,
    CLUSTER,
    IRELAND,
    OTHER,
    OTHER_ACCOUNT,
    OURS,
    THEIRS,
    arn,
    documents,
)
from tests.support.iam_evaluator import Resource, allowed

NODES = "arn:aws:iam::111122223333:role/payments-prod-nodes"
QUEUE = arn("sqs", "payments-prod")
SPECS = {
    "everything": lambda location: Karpenter(
        node_roles=[location.iam_arn("role/payments-prod-nodes")],
        interruption_queue=location.arn("sqs", "payments-prod"),
    ),
    "profiles given": lambda location: Karpenter(
        node_roles=[location.iam_arn("role/payments-prod-nodes")], instance_profiles=False
    ),
}
POOL = {"aws:ResourceTag/karpenter.sh/nodepool": "general"}
ASK_POOL = {"aws:RequestTag/karpenter.sh/nodepool": "general"}
ASK = {**ASK_OURS, **ASK_POOL, "aws:RequestTag/eks:eks-cluster-name": "payments-prod"}
ASK_OTHER = {**ASK_THEIRS, **ASK_POOL, "aws:RequestTag/eks:eks-cluster-name": "payments-dev"}
OWN, OTHERS = {**OURS, **POOL}, {**THEIRS, **POOL}
REGION = {"aws:ResourceTag/topology.kubernetes.io/region": "eu-west-1"}
CLASS = {"aws:ResourceTag/karpenter.k8s.aws/ec2nodeclass": "default"}


def ec2(kind, *contexts):
    return Resource(arn("ec2", f"{kind}/x-0a"), _merged(contexts))


def inside(kind, cluster=CLUSTER):
    return ec2(kind, {"ec2:Vpc": arn("ec2", f"vpc/{cluster.vpc_id}")})


def profile(*contexts):
    return Resource("arn:aws:iam::111122223333:instance-profile/p", _merged(contexts))


def _merged(contexts):
    return {key: value for context in contexts for key, value in context.items()}


def passed(role, service="ec2.amazonaws.com"):
    return Resource(role, {"iam:PassedToService": service})


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("ec2:RunInstances", [ec2("instance", ASK), inside("subnet")], True),
        ("ec2:CreateFleet", [ec2("fleet", ASK), ec2("launch-template", OWN)], True),
        ("ec2:RunInstances", [ec2("instance", ASK_OTHER)], False),
        ("ec2:RunInstances", [ec2("instance", ASK_OURS)], False),
        ("ec2:RunInstances", [ec2("instance", ASK), inside("subnet", OTHER)], False),
        ("ec2:RunInstances", [ec2("instance", ASK), inside("security-group", OTHER)], False),
        ("ec2:CreateFleet", [ec2("fleet", ASK), ec2("launch-template", OTHERS)], False),
        ("ec2:TerminateInstances", [ec2("instance", OWN)], True),
        ("ec2:TerminateInstances", [ec2("instance", OTHERS)], False),
        # A managed node group of this cluster is not Karpenter's.
        ("ec2:TerminateInstances", [ec2("instance", OURS)], False),
        ("ec2:DeleteLaunchTemplate", [ec2("launch-template", OTHERS)], False),
        (
            "ec2:CreateTags",
            [ec2("instance", ASK, {"ec2:CreateAction": "RunInstances"})],
            True,
        ),
        ("ec2:CreateTags", [ec2("instance", ASK)], False),
        ("ec2:CreateTags", [ec2("instance", OWN, {"aws:TagKeys": ["Name"]})], True),
        ("ec2:CreateTags", [ec2("instance", OTHERS, {"aws:TagKeys": ["Name"]})], False),
        ("ec2:CreateTags", [ec2("instance", OWN, {"aws:TagKeys": ["Team"]})], False),
        ("iam:PassRole", [passed(NODES)], True),
        ("iam:PassRole", [passed(NODES, "lambda.amazonaws.com")], False),
        ("iam:PassRole", [passed("arn:aws:iam::111122223333:role/payments-dev-nodes")], False),
        ("iam:PassRole", [passed("arn:aws:iam::111122223333:role/admin")], False),
        ("iam:AddRoleToInstanceProfile", [profile(OURS, REGION, CLASS)], True),
        ("iam:AddRoleToInstanceProfile", [profile(THEIRS, REGION, CLASS)], False),
        ("iam:DeleteInstanceProfile", [profile()], False),
        ("iam:CreateRole", [NODES], False),
        ("sqs:ReceiveMessage", [QUEUE], True),
        ("sqs:ReceiveMessage", [arn("sqs", "payments-dev")], False),
        ("sqs:SendMessage", [QUEUE], False),
        ("eks:DescribeCluster", [arn("eks", "cluster/payments-prod")], True),
        ("eks:DescribeCluster", [arn("eks", "cluster/payments-dev")], False),
        ("ssm:GetParameter", ["arn:aws:ssm:eu-west-1::parameter/aws/service/eks/a"], True),
        ("ssm:GetParameter", [arn("ssm", "parameter/payments/db")], False),
        (
            "ec2:RunInstances",
            [Resource(arn("ec2", "instance/i", account=OTHER_ACCOUNT), ASK)],
            False,
        ),
    ],
)
def test_keeps_the_nodes_of_its_cluster_and_no_other(action, resources, expected):
    assert allowed(documents(SPECS["everything"](IRELAND)), action, *resources) is expected


def test_makes_no_instance_profile_where_each_class_names_one():
    held = documents(Karpenter(node_roles=[NODES], instance_profiles=False))
    assert not allowed(held, "iam:AddRoleToInstanceProfile", profile(OURS, REGION, CLASS))


def test_is_told_its_cluster_and_queue():
    assert SPECS["everything"](IRELAND).chart_values(CLUSTER, IRELAND) == {
        "settings": {
            "clusterName": "payments-prod",
            "clusterEndpoint": CLUSTER.endpoint,
            "interruptionQueue": "payments-prod",
        }
    }


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "node_roles must name at least one"),
        ({"node_roles": ["*"]}, "node_roles must be such as"),
        ({"node_roles": ["arn:aws:iam::111122223333:role/*"]}, "node_roles must be such as"),
        (
            {"node_roles": [NODES], "interruption_queue": "${Token[Queue.1]}"},
            "interruption_queue must be such as",
        ),
    ],
)
def test_refuses_a_scope_that_is_none(options, fault):
    with pytest.raises(InvalidInput, match=fault):
        Karpenter(**options)


# Images, reservations and placement groups bear no tag of the cluster; they are used, not changed.
EXCUSED = {
    "ec2:CreateFleet": "what it makes is held by Launch",
    "ec2:RunInstances": "what it makes is held by Launch",
}
UPSTREAM = """
    arc-zonal-shift:GetManagedResource ec2:CreateFleet ec2:CreateLaunchTemplate ec2:CreateTags
    ec2:DeleteLaunchTemplate ec2:DescribeCapacityReservations ec2:DescribeImages
    ec2:DescribeInstanceStatus ec2:DescribeInstanceTypeOfferings ec2:DescribeInstanceTypes
    ec2:DescribeInstances ec2:DescribeLaunchTemplates ec2:DescribePlacementGroups
    ec2:DescribeSecurityGroups ec2:DescribeSpotPriceHistory ec2:DescribeSubnets ec2:RunInstances
    ec2:TerminateInstances eks:DescribeCluster iam:AddRoleToInstanceProfile
    iam:CreateInstanceProfile iam:DeleteInstanceProfile iam:GetInstanceProfile
    iam:ListInstanceProfiles iam:PassRole iam:RemoveRoleFromInstanceProfile iam:TagInstanceProfile
    pricing:GetProducts sqs:DeleteMessage sqs:GetQueueUrl sqs:ReceiveMessage ssm:GetParameter
"""
LEFT_OUT = {"arc-zonal-shift:GetManagedResource": "only with enableZonalShift; add it to the role"}

# AWS's own parameters have no AWS account in their ARN; parliament wants one.
FOUND = {
    (
        "RESOURCE_MISMATCH",
        "[{'action': 'ssm:GetParameter', 'required_format': 'arn:*:ssm:*:*:parameter/*'}]",
    )
}
# IAM evaluates the tags of instance profiles, as upstream's own policy relies on; the reference
# lists them for no action.
UNKNOWN_KEYS = {
    (f"iam:{action}InstanceProfile", f"aws:ResourceTag/{key}")
    for action in ("AddRoleTo", "Delete", "RemoveRoleFrom", "Tag")
    for key in (
        "kubernetes.io/cluster/payments-prod",
        "topology.kubernetes.io/region",
        "karpenter.k8s.aws/ec2nodeclass",
    )
}
