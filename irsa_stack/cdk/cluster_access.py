"""How a function of ours is let into a cluster, and for how long it works there."""

from collections.abc import Iterable, Iterator
from typing import Any

from aws_cdk import Annotations, Duration, Stack
from constructs import Construct

from irsa_stack.cdk.cluster_connection import ClusterConnection
from irsa_stack.cdk.taggable_resource import TaggableResource

FUNCTION_SECONDS = 900
ROLLOUT_SECONDS_AT_MOST = 780
SERVICE_TIMEOUT = Duration.minutes(20)


def access_policies(
    partition: str, namespaces: Iterable[str], *, whole_cluster: bool
) -> list[dict[str, Any]]:
    """Return the policies of an access entry.

    See https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html

    Args:
        partition: `aws`, `aws-cn` ..., or a deploy-time value.
        namespaces: the namespaces that service accounts are bound in.
        whole_cluster: whether namespaces must be created. EKS has no policy that allows only that,
            so it takes cluster admin; it is the one thing that does.
    """

    def policy(name: str, scope: dict[str, Any]) -> dict[str, Any]:
        return {
            "PolicyArn": f"arn:{partition}:eks::aws:cluster-access-policy/{name}",
            "AccessScope": scope,
        }

    if whole_cluster:
        return [policy("AmazonEKSClusterAdminPolicy", {"Type": "cluster"})]
    return [policy("AmazonEKSEditPolicy", {"Type": "namespace", "Namespaces": sorted(namespaces)})]


def define_access_entry(
    scope: Construct,
    id: str,
    *,
    cluster: ClusterConnection,
    principal_arn: str,
    policies: Any = None,  # noqa: ANN401 (a list, or one produced at synth)
    group: str | None = None,
) -> TaggableResource:
    """Define who a function is to the cluster's API server: by EKS's policies, or by a group."""
    if not cluster.takes_access_entries:
        Annotations.of(scope).add_warning_v2(
            "irsa-stack:cluster-without-access-entries",
            "cluster must take access entries, got authentication mode CONFIG_MAP; EKS will refuse"
            " that of the function, so give the cluster"
            " authentication_mode=AuthenticationMode.API_AND_CONFIG_MAP, or pass handler_role"
            " mapped in aws-auth",
        )
    return TaggableResource(
        scope,
        id,
        resource_type="AWS::EKS::AccessEntry",
        properties={
            "ClusterName": cluster.cluster_name,
            "PrincipalArn": principal_arn,
            "AccessPolicies": policies,
            "KubernetesGroups": None if group is None else [group],
        },
    )


def describe_cluster(scope: Construct, cluster_name: str) -> dict[str, Any]:
    """Let the function see whether a cluster that does not answer is gone."""
    arn = Stack.of(scope).format_arn(service="eks", resource="cluster", resource_name=cluster_name)
    return {"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn}


def rollout_faults(seconds: float | None) -> Iterator[str]:
    """Say why a function could not wait so long for a rollout."""
    if seconds is not None and not 1 <= seconds <= ROLLOUT_SECONDS_AT_MOST:
        yield (
            f"rollout_timeout must be 1-{ROLLOUT_SECONDS_AT_MOST} seconds, got {seconds}; a"
            " function runs for 15 minutes and must have time to undo"
        )
