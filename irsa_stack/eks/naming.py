"""Names of EKS clusters and ids of the VPCs, subnets and security groups around them."""

import re
from collections.abc import Iterator

from irsa_stack.cloudformation.deploy_time import is_deploy_time

# https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
_CLUSTER_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
_ID = re.compile(r"[0-9a-f]{8}(?:[0-9a-f]{9})?")


def cluster_name_faults(cluster_name: object, *, of: str = "cluster_name") -> Iterator[str]:
    """Say what makes *cluster_name* no name of an EKS cluster.

    Args:
        cluster_name: the value; a deploy-time one has no faults yet.
        of: the property that holds it, for the message.
    """
    if isinstance(cluster_name, str) and cluster_name and is_deploy_time(cluster_name):
        return
    if not isinstance(cluster_name, str) or not _CLUSTER_NAME.fullmatch(cluster_name):
        yield (
            f"{of} must be 1-100 letters, digits, '-' and '_', starting with a letter or digit, got"
            f" {cluster_name!r}; pass the name that `aws eks list-clusters` prints"
        )


def vpc_id_faults(vpc_id: object, *, of: str = "vpc_id") -> Iterator[str]:
    """Say what makes *vpc_id* no id of a VPC.

    Args:
        vpc_id: the value; a deploy-time one has no faults yet.
        of: the property that holds it, for the message.
    """
    if not _is_id(vpc_id, "vpc"):
        yield (
            f"{of} must be the id of the cluster's VPC such as 'vpc-0123456789abcdef0', got"
            f" {vpc_id!r}; pass vpc.vpc_id, or what `aws eks describe-cluster` prints"
        )


def network_id_faults(value: object, kind: str, *, of: str) -> Iterator[str]:
    """Say what makes *value* no id of a *kind*.

    Args:
        value: the value; a deploy-time one has no faults yet.
        kind: `subnet` or `sg`.
        of: the property that holds it, for the message.
    """
    if not _is_id(value, kind):
        yield f"{of} must be such as {kind}-0123456789abcdef0, got {value!r}; copy it from the VPC"


def _is_id(value: object, kind: str) -> bool:
    if not isinstance(value, str) or not value:
        return False
    prefix, _, digits = value.partition("-")
    return is_deploy_time(value) or (prefix == kind and _ID.fullmatch(digits) is not None)
