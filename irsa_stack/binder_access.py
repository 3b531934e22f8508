"""What a function may do inside the cluster: the access policies of its access entry.

See: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
"""

from collections.abc import Iterable
from typing import Any


def access_policies(
    partition: str, namespaces: Iterable[str], *, whole_cluster: bool
) -> list[dict[str, Any]]:
    """Return the policies of an access entry.

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
