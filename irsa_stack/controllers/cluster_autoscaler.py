"""cluster-autoscaler: sizes the node groups of one cluster, and no other.

See: https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-1.36.1/cluster-autoscaler/cloudprovider/aws/README.md
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscaler(ControllerSpec):
    """Keeps the number of nodes, of the Auto Scaling groups of one cluster.

    The chart values make the controller discover exactly the groups that the policy lets it size.

    Examples:
        >>> from irsa_stack.controllers import ClusterAutoscaler
        >>> from irsa_stack.controllers.spec import Cluster
        >>> from irsa_stack.controllers.statements import Location
        >>> ireland = Location(partition="aws", region="eu-west-1", aws_account="111122223333")
        >>> values = ClusterAutoscaler().chart_values(Cluster(name="payments-prod"), ireland)
        >>> values["autoDiscovery"]["clusterName"]
        'payments-prod'
    """

    node_group_tags: Mapping[str, str] | None = None
    """Tags that an Auto Scaling group must have, all of them, to be sized. Default:
    `k8s.io/cluster-autoscaler/NAME: owned`, which managed node groups have."""

    upstream = Upstream(
        policy="https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-1.36.1/cluster-autoscaler/cloudprovider/aws/README.md",
        version="1.36.1",
        released="2026-07-22",
        minimum="1.25.0",
        because="finds groups by tag without autoscaling:DescribeTags",
        chart="cluster-autoscaler",
        repository="https://kubernetes.github.io/autoscaler",
        chart_version="9.59.0",
    )
    service_account = "cluster-autoscaler"
    chart_path = "rbac.serviceAccount"
    # https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-chart-9.59.0/cluster-autoscaler/charts/cluster-autoscaler/templates/serviceaccount.yaml
    quotes_annotations = True
    wildcards = {
        "Describe": "Auto Scaling and EC2 describe these on no resource level; nothing is written",
        "ReadNodeGroups": "all node groups of this cluster, read only",
        "SizeNodeGroups": "groups come and go; only those with the tags of this cluster",
    }

    def faults(self) -> Iterator[str]:
        tags = self.node_group_tags
        if tags is not None and not tags:
            yield (
                f"node_group_tags must name at least one tag, got {dict(tags)!r}; leave it out for"
                " k8s.io/cluster-autoscaler/NAME, or pass {'kubernetes.io/cluster/NAME': 'owned'}"
            )
        for key, value in (tags or {}).items():
            if not key or not value or "*" in value:
                yield (
                    "node_group_tags must have a key and an exact value, got"
                    f" {key!r}: {value!r}; write both as they stand on the Auto Scaling groups"
                )

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        tags = self.tags_of(cluster)
        return {
            "ClusterAutoscaler": [
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
                    [location.arn("eks", f"nodegroup/{cluster.name}/*/*")],
                ),
                allow(
                    "SizeNodeGroups",
                    [
                        "autoscaling:SetDesiredCapacity",
                        "autoscaling:TerminateInstanceInAutoScalingGroup",
                    ],
                    [location.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
                    {"StringEquals": {f"aws:ResourceTag/{key}": tags[key] for key in sorted(tags)}},
                ),
            ]
        }

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        tags = [f"{key}={value}" for key, value in sorted(self.tags_of(cluster).items())]
        if self.node_group_tags is None:
            tags = ["k8s.io/cluster-autoscaler/enabled", *tags]
        return {
            "cloudProvider": "aws",
            "awsRegion": location.region,
            "autoDiscovery": {"clusterName": cluster.name, "tags": tags},
        }

    def tags_of(self, cluster: Cluster) -> Mapping[str, str]:
        """Return the tags of the groups that it sizes."""
        if self.node_group_tags is not None:
            return self.node_group_tags
        return {f"k8s.io/cluster-autoscaler/{cluster.name}": "owned"}
