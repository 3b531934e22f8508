"""What the VPC CNI, `aws-node`, may do: give addresses to the pods of its nodes.

AWS keeps a managed policy for IPv4 and none for IPv6. Both let every node change the interfaces of
every instance of the account; held to the cluster, a node changes those of its cluster only.

See: https://github.com/aws/amazon-vpc-cni-k8s/blob/v1.23.0/docs/iam-policy.md
"""

from collections.abc import Iterator
from typing import Any

from irsa_stack.controllers.statements import (
    Document,
    Place,
    Statement,
    allow,
    document,
    vpc_owner_faults,
)
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.eks.naming import cluster_name_faults, vpc_id_faults
from irsa_stack.faults import refuse

UPSTREAM = Upstream(
    policy="https://github.com/aws/amazon-vpc-cni-k8s/blob/v1.23.0/docs/iam-policy.md",
    version="v1.23.0",
    released="2026-07-31",
    minimum="v1.8.0",
    because="tags its interfaces with the name of the cluster, if CLUSTER_NAME is set",
    chart="aws-vpc-cni",
    repository="https://aws.github.io/eks-charts",
    chart_version="1.23.0",
)

WILDCARDS = {
    "Describe": "EC2 describes these on no resource level; nothing is written",
    "AssignAddresses": "interfaces come and go with the nodes; those of this region and account",
    "RefreshSecurityGroups": "interfaces come and go with the nodes, and follow the groups of their"
    " node's primary one; those of this region and account",
    "TagInterfaces": "interfaces come and go with the nodes; those of this region and account",
    "CreateInterface": "its id is not known before; only with the tag of this cluster",
    "CreateInterfaceInVpc": "subnets and security groups of this VPC",
    "TagNewInterface": "its id is not known before; only while it is made for this cluster",
    "TagPrimaryInterface": "made by EC2 with the node; only in this VPC and while it has no owner",
    "TagOwnInterfaces": "interfaces come and go with the nodes; only those of this cluster",
    "MoveInterfaces": "interfaces come and go with the nodes; only those of this cluster",
    "ChangeInterfaces": "interfaces come and go with the nodes; only those of this cluster",
    "ChangeNodes": "nodes come and go; only those of this cluster",
    "UseSecurityGroups": "security groups of this VPC",
}
"""Why a statement names more than single resources."""

IPV4, IPV6 = "ipv4", "ipv6"
MANAGED_POLICY = "AmazonEKS_CNI_Policy"
"""What AWS keeps for IPv4, with the actions that each new release needs."""

# https://github.com/aws/amazon-vpc-cni-k8s/blob/v1.23.0/README.md#cluster-name-tag
CLUSTER_TAG = "cluster.k8s.amazonaws.com/name"

_DESCRIBE = (
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    # v1.22 finds the security groups of the subnets that it may use; older ones do not ask.
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
)
_ADDRESSES = {
    IPV4: ("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
    IPV6: ("ec2:AssignIpv6Addresses", "ec2:UnassignIpv6Addresses"),
}


def policy_documents(
    *,
    place: Place,
    ip_family: str = IPV4,
    cluster_scoped: bool = False,
    cluster_name: str | None = None,
    vpc_id: str | None = None,
) -> dict[str, Document]:
    """Return the policy of the VPC CNI by name; none where AWS's managed one serves.

    Args:
        place: partition, region and account of the cluster.
        ip_family: `ipv4` or `ipv6`.
        cluster_scoped: whether to hold it to one cluster. `aws-node` must have `CLUSTER_NAME` set.
        cluster_name: name of the cluster; needed with *cluster_scoped*.
        vpc_id: VPC of the cluster; needed with *cluster_scoped*.

    Raises:
        InvalidInput: a scope is empty or no scope; all faults are listed.
    """
    faults = list(family_faults(ip_family))
    if cluster_scoped:
        faults += [
            *cluster_name_faults(cluster_name),
            *vpc_id_faults(vpc_id),
            *vpc_owner_faults(place.vpc_owner),
        ]
    elif vpc_id is not None:
        faults.append(
            f"vpc_id must go with cluster_scoped=True, got {vpc_id!r} without it; add it, or leave"
            " vpc_id out"
        )
    refuse(faults)
    if cluster_scoped and cluster_name is not None and vpc_id is not None:
        return {"VpcCni": _of_cluster(place, ip_family, cluster_name, vpc_id)}
    if ip_family == IPV6:
        return {"VpcCni": _of_account(place)}
    return {}


def _of_account(place: Place) -> Document:
    interfaces = [place.arn("ec2", "network-interface/*")]
    return document(
        allow("Describe", _DESCRIBE, ["*"]),
        allow("AssignAddresses", ["ec2:AssignIpv6Addresses"], interfaces),
        allow(
            "RefreshSecurityGroups",
            ["ec2:ModifyNetworkInterfaceAttribute"],
            [*interfaces, place.arn("ec2", "security-group/*")],
        ),
        allow("TagInterfaces", ["ec2:CreateTags"], interfaces),
    )


def _of_cluster(place: Place, ip_family: str, cluster_name: str, vpc_id: str) -> Document:
    """Hold the CNI to one cluster.

    Beyond upstream's sample, a tag can only be put on an interface that nobody else owns: there,
    the CNI of one cluster could call another's interfaces its own and then change them.
    """
    interfaces = [place.arn("ec2", "network-interface/*")]
    security_groups = place.arn("ec2", "security-group/*")
    requested = {f"aws:RequestTag/{CLUSTER_TAG}": cluster_name}
    owned = {f"aws:ResourceTag/{CLUSTER_TAG}": cluster_name}
    in_vpc = {"ec2:Vpc": place.vpc_arn(vpc_id)}
    statements: list[Statement] = [
        allow("Describe", _DESCRIBE, ["*"]),
        allow(
            "TagPrimaryInterface",
            ["ec2:CreateTags"],
            interfaces,
            {
                "ArnEquals": in_vpc,
                "StringEquals": requested,
                "Null": {f"aws:ResourceTag/{CLUSTER_TAG}": "true"},
            },
        ),
        allow(
            "TagOwnInterfaces",
            ["ec2:CreateTags"],
            interfaces,
            {"StringEquals": owned, "StringEqualsIfExists": requested},
        ),
        allow(
            "ChangeInterfaces",
            [*_ADDRESSES[ip_family], "ec2:ModifyNetworkInterfaceAttribute"],
            interfaces,
            {"StringEquals": owned},
        ),
        allow(
            "UseSecurityGroups",
            ["ec2:ModifyNetworkInterfaceAttribute"],
            [security_groups],
            {"ArnEquals": in_vpc},
        ),
    ]
    if ip_family == IPV4:
        statements += _more_interfaces(place, cluster_name, in_vpc, requested, owned)
    return document(*statements)


def _more_interfaces(
    place: Place,
    cluster_name: str,
    in_vpc: dict[str, Any],
    requested: dict[str, Any],
    owned: dict[str, Any],
) -> list[Statement]:
    """Let the CNI add interfaces to the nodes of the cluster; for IPv6 the primary is enough."""
    interfaces = [place.arn("ec2", "network-interface/*")]
    return [
        allow(
            "CreateInterface",
            ["ec2:CreateNetworkInterface"],
            interfaces,
            {"StringEquals": requested},
        ),
        allow(
            "CreateInterfaceInVpc",
            ["ec2:CreateNetworkInterface"],
            [
                place.arn("ec2", "security-group/*"),
                place.subnet_arns,
            ],
            {"ArnEquals": in_vpc},
        ),
        allow(
            "TagNewInterface",
            ["ec2:CreateTags"],
            interfaces,
            {"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface", **requested}},
        ),
        allow(
            "MoveInterfaces",
            [
                "ec2:AttachNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DetachNetworkInterface",
            ],
            interfaces,
            {"StringEquals": owned},
        ),
        allow(
            "ChangeNodes",
            [
                "ec2:AttachNetworkInterface",
                "ec2:DetachNetworkInterface",
                "ec2:ModifyNetworkInterfaceAttribute",
            ],
            [place.arn("ec2", "instance/*")],
            {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster_name}": "owned"}},
        ),
    ]


def family_faults(ip_family: str) -> Iterator[str]:
    """Say why *ip_family* is none."""
    if ip_family not in _ADDRESSES:
        yield f"ip_family must be 'ipv4' or 'ipv6', got {ip_family!r}; correct it"
