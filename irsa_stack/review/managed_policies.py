"""AWS' managed policies that EKS uses, with what they amount to; others are not known.

See: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

import re
from collections.abc import Mapping

SNAPSHOT = "2026-11-28"
"""The day on which this list was written."""

ACCESS_LEVELS: Mapping[str, str] = {
    "AdministratorAccess": "everything",
    "AmazonEBSCSIDriverPolicy": "write: EBS volumes and snapshots, by tag",
    "AmazonEC2ContainerRegistryPullOnly": "read: images",
    "AmazonEC2ContainerRegistryReadOnly": "read: images",
    "AmazonEC2FullAccess": "write: all of EC2 and load balancing",
    "AmazonEFSCSIDriverPolicy": "write: EFS access points, by tag",
    "AmazonEKSBlockStoragePolicy": "write: EBS volumes of the cluster",
    "AmazonEKSClusterPolicy": "write: what a control plane needs",
    "AmazonEKSComputePolicy": "write: nodes of the cluster",
    "AmazonEKSFargatePodExecutionRolePolicy": "read: images",
    "AmazonEKSLoadBalancingPolicy": "write: load balancers of the cluster",
    "AmazonEKSNetworkingPolicy": "write: network interfaces of the cluster",
    "AmazonEKSVPCResourceController": "write: network interfaces",
    "AmazonEKSWorkerNodeMinimalPolicy": "read: Pod Identity credentials",
    "AmazonEKSWorkerNodePolicy": "read: EC2 and the cluster",
    "AmazonEKS_CNI_IPv6_Policy": "write: addresses of network interfaces",
    "AmazonEKS_CNI_Policy": "write: network interfaces",
    "AmazonFSxFullAccess": "write: all of FSx",
    "AmazonPrometheusQueryAccess": "read: metrics",
    "AmazonPrometheusRemoteWriteAccess": "write: metrics",
    "AmazonS3FullAccess": "write: all of S3",
    "AmazonS3ReadOnlyAccess": "read: all of S3",
    "AmazonSSMManagedInstanceCore": "write: Session Manager channels",
    "AWSXRayDaemonWriteAccess": "write: traces",
    "CloudWatchAgentServerPolicy": "write: metrics and logs",
    "IAMFullAccess": "everything, because it may grant itself",
    "PowerUserAccess": "everything but IAM",
    "ReadOnlyAccess": "read: everything",
    "SecretsManagerReadWrite": "write: all secrets",
}


def access_level(arn: str) -> str:
    """Return what a managed policy amounts to, or `unknown`."""
    found = re.fullmatch(r"arn:[^:]*:iam::aws:policy/(?:[\w-]+/)*([\w+=,.@-]+)", arn)
    return ACCESS_LEVELS.get(found[1], "unknown") if found else "unknown"
