import pytest

from irsa_stack.controllers import ClusterAutoscaler
from irsa_stack.controllers.spec import Cluster
from irsa_stack.faults import InvalidInput
from tests.support.controllers import CLUSTER, IRELAND
from tests.support.iam_evaluator import Resource, allowed

SPECS = {
    "default": ClusterAutoscaler(),
    "tags": ClusterAutoscaler(
        node_group_tags={"kubernetes.io/cluster/payments-prod": "owned", "Team": "web"}
    ),
}
OURS = {"aws:ResourceTag/k8s.io/cluster-autoscaler/payments-prod": "owned"}
THEIRS = {"aws:ResourceTag/k8s.io/cluster-autoscaler/payments-dev": "owned"}

SIZE = "autoscaling:SetDesiredCapacity"
TERMINATE = "autoscaling:TerminateInstanceInAutoScalingGroup"


def group(tags, region="eu-west-1", account="111122223333"):
    return Resource(
        f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:5f0c:autoScalingGroupName/general",
        tags,
    )


def node_group(cluster):
    return f"arn:aws:eks:eu-west-1:111122223333:nodegroup/{cluster}/general/5f0c"


def documents(cluster=CLUSTER, **options):
    return ClusterAutoscaler(**options).documents(cluster, IRELAND).values()


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("autoscaling:DescribeAutoScalingGroups", "*", True),
        ("autoscaling:DescribeAutoScalingInstances", "*", True),
        ("autoscaling:DescribeLaunchConfigurations", "*", True),
        ("autoscaling:DescribeScalingActivities", "*", True),
        ("ec2:DescribeImages", "*", True),
        ("ec2:DescribeInstanceTypes", "*", True),
        ("ec2:DescribeLaunchTemplateVersions", "*", True),
        ("ec2:GetInstanceTypesFromInstanceRequirements", "*", True),
        ("eks:DescribeNodegroup", node_group("payments-prod"), True),
        (SIZE, group(OURS), True),
        (TERMINATE, group(OURS), True),
        ("eks:DescribeNodegroup", node_group("payments-prod-2"), False),
        ("eks:DescribeNodegroup", node_group("payments-dev"), False),
        ("eks:UpdateNodegroupConfig", node_group("payments-prod"), False),
        (SIZE, group(THEIRS), False),
        (TERMINATE, group(THEIRS), False),
        (SIZE, group({}), False),
        (SIZE, group({next(iter(OURS)): "shared"}), False),
        (SIZE, group({"aws:ResourceTag/k8s.io/cluster-autoscaler/enabled": "true"}), False),
        (SIZE, group(OURS, region="us-east-1"), False),
        (SIZE, group(OURS, account="444455556666"), False),
        ("autoscaling:DeleteAutoScalingGroup", group(OURS), False),
        ("autoscaling:UpdateAutoScalingGroup", group(OURS), False),
        ("autoscaling:CreateOrUpdateTags", group(OURS), False),
        ("ec2:TerminateInstances", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", False),
        ("ec2:RunInstances", "arn:aws:ec2:eu-west-1:111122223333:instance/*", False),
    ],
)
def test_sizes_the_groups_of_its_cluster_and_no_other(action, resource, expected):
    assert allowed(documents(), action, resource) is expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"kubernetes.io/cluster/payments-prod": "owned", "Team": "web"}, True),
        ({"kubernetes.io/cluster/payments-prod": "owned"}, False),
        ({"kubernetes.io/cluster/payments-prod": "owned", "Team": "api"}, False),
        ({"Team": "web"}, False),
    ],
)
def test_asks_for_all_tags_that_it_is_held_to(tags, expected):
    held = documents(
        node_group_tags={"kubernetes.io/cluster/payments-prod": "owned", "Team": "web"}
    )
    context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    assert allowed(held, SIZE, group(context)) is expected


@pytest.mark.parametrize(
    ("tags", "discovered"),
    [
        (
            None,
            [
                "k8s.io/cluster-autoscaler/enabled",
                "k8s.io/cluster-autoscaler/payments-prod=owned",
            ],
        ),
        ({"Team": "web"}, ["Team=web"]),
        (
            {"kubernetes.io/cluster/payments-prod": "owned"},
            ["kubernetes.io/cluster/payments-prod=owned"],
        ),
    ],
)
def test_discovers_what_it_may_size(tags, discovered):
    values = ClusterAutoscaler(node_group_tags=tags).chart_values(CLUSTER, IRELAND)
    assert values == {
        "cloudProvider": "aws",
        "awsRegion": "eu-west-1",
        "autoDiscovery": {"clusterName": "payments-prod", "tags": discovered},
    }


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"cluster": Cluster(name="")}, "cluster_name must be 1-100 letters, .* got ''"),
        ({"cluster": Cluster(name="*")}, "cluster_name must be .* got '[*]'"),
        ({"cluster": Cluster(name="payments prod")}, "cluster_name must be"),
        ({"cluster": Cluster(name="p" * 101)}, "cluster_name must be"),
        ({"cluster": Cluster(name="payments\n")}, "cluster_name must be"),
        ({"cluster": Cluster(name=None)}, "cluster_name must be .* got None"),
        ({"node_group_tags": {}}, "node_group_tags must name at least one tag, got {}"),
        ({"node_group_tags": {"Team": ""}}, "node_group_tags must have a key and an exact value"),
        ({"node_group_tags": {"Team": "*"}}, "node_group_tags must have a key and an exact value"),
        ({"node_group_tags": {"": "web"}}, "node_group_tags must have a key and an exact value"),
    ],
)
def test_refuses_a_scope_that_is_none(properties, fault):
    with pytest.raises(InvalidInput, match=fault):
        documents(**properties)


# What upstream's policy names, and what of it is left out or added here, each with its reason.
UPSTREAM = """
    autoscaling:DescribeAutoScalingGroups autoscaling:DescribeAutoScalingInstances
    autoscaling:DescribeLaunchConfigurations autoscaling:DescribeScalingActivities
    autoscaling:SetDesiredCapacity autoscaling:TerminateInstanceInAutoScalingGroup
    ec2:DescribeImages ec2:DescribeInstanceTypes ec2:DescribeLaunchTemplateVersions
    ec2:GetInstanceTypesFromInstanceRequirements eks:DescribeNodegroup
"""
LEFT_OUT = {}
ADDED = {}
