"""What cluster-autoscaler may do: size the node groups of one cluster, and no other.

See: https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-1.36.1/cluster-autoscaler/cloudprovider/aws/README.md
"""

from collections.abc import Iterator, Mapping

from irsa_stack.controllers.statements import (
    Document,
    Place,
    allow,
    document,
)
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.eks.naming import cluster_name_faults
from irsa_stack.faults import refuse

UPSTREAM = Upstream(
    policy="https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-1.36.1/cluster-autoscaler/cloudprovider/aws/README.md",
    version="1.36.1",
    released="2026-07-22",
    minimum="1.25.0",
    because="finds groups by tag without autoscaling:DescribeTags",
    chart="cluster-autoscaler",
    repository="https://kubernetes.github.io/autoscaler",
    chart_version="9.59.0",
)

WILDCARDS = {
    "Describe": "Auto Scaling and EC2 describe these on no resource level; nothing is written",
    "ReadNodeGroups": "all node groups of this cluster, read only",
    "SizeNodeGroups": "groups come and go; only those with the tags of this cluster",
}
"""Why a statement names more than single resources."""

ENABLED_TAG = "k8s.io/cluster-autoscaler/enabled"


def default_node_group_tags(cluster_name: str) -> dict[str, str]:
    """Return the tag by which the groups of a cluster are found.

    The groups of EKS managed node groups have it; on other Auto Scaling groups you set it.
    """
    return {f"k8s.io/cluster-autoscaler/{cluster_name}": "owned"}


def policy_documents(
    *, place: Place, cluster_name: str, node_group_tags: Mapping[str, str] | None = None
) -> dict[str, Document]:
    """Return the policy of cluster-autoscaler by name.

    Args:
        place: partition, region and account of the cluster.
        cluster_name: name of the cluster.
        node_group_tags: tags that an Auto Scaling group must have, all of them, to be sized.
            Default: `default_node_group_tags`.

    Raises:
        InvalidInput: a scope is empty or no scope; all faults are listed.
    """
    tags = default_node_group_tags(cluster_name) if node_group_tags is None else node_group_tags
    refuse([*cluster_name_faults(cluster_name), *_tags_faults(tags)])
    return {
        "ClusterAutoscaler": document(
            allow(
                "Describe",
                [
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribeAutoScalingInstances",
                    "autoscaling:DescribeLaunchConfigurations",
                    "autoscaling:DescribeScalingActivities",
                    "ec2:DescribeImages",
                    "ec2:DescribeInstanceTypes",
                    "ec2:DescribeLaunchTemplateVersions",
                    "ec2:GetInstanceTypesFromInstanceRequirements",
                ],
                ["*"],
            ),
            # A statement of its own: a node group has none of its Auto Scaling group's tags.
            allow(
                "ReadNodeGroups",
                ["eks:DescribeNodegroup"],
                [place.arn("eks", f"nodegroup/{cluster_name}/*/*")],
            ),
            allow(
                "SizeNodeGroups",
                [
                    "autoscaling:SetDesiredCapacity",
                    "autoscaling:TerminateInstanceInAutoScalingGroup",
                ],
                [place.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
                {"StringEquals": {f"aws:ResourceTag/{key}": tags[key] for key in sorted(tags)}},
            ),
        )
    }


def discovery_tags(cluster_name: str, node_group_tags: Mapping[str, str] | None) -> list[str]:
    """Return the tags for `--node-group-auto-discovery`: what is found is what may be sized."""
    if node_group_tags is None:
        return [
            ENABLED_TAG,
            *(f"{key}={value}" for key, value in default_node_group_tags(cluster_name).items()),
        ]
    return [f"{key}={value}" for key, value in sorted(node_group_tags.items())]


def _tags_faults(tags: Mapping[str, str]) -> Iterator[str]:
    if not tags:
        yield (
            f"node_group_tags must name at least one tag, got {dict(tags)!r}; leave it out for"
            " k8s.io/cluster-autoscaler/NAME, or pass {'kubernetes.io/cluster/NAME': 'owned'}"
        )
    for key, value in tags.items():
        if not key or not value or "*" in value:
            yield (
                f"node_group_tags must have a key and an exact value, got {key!r}: {value!r}; write"
                " both as they stand on the Auto Scaling groups"
            )
