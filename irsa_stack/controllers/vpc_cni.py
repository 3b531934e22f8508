"""What the VPC CNI, `aws-node`, may do: give addresses to the pods of its nodes.

AWS keeps a managed policy for IPv4 and none for IPv6. Both let every node change the interfaces of
every instance of the account; held to the cluster, a node changes those of its cluster only.

See: https://github.com/aws/amazon-vpc-cni-k8s/blob/v1.23.0/docs/iam-policy.md
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from irsa_stack.cloudformation.deploy_time import (
    AWS_ACCOUNT_ID,
    PARTITION,
    REGION,
    is_deploy_time,
)
from irsa_stack.cloudformation.fn_sub import fn_sub_json
from irsa_stack.cloudformation.policy_document import trust_document
from irsa_stack.controllers.scopes import vpc_owner_faults
from irsa_stack.controllers.statements import Document, Location, Statement, allow, document
from irsa_stack.eks.naming import cluster_name_faults, vpc_id_faults
from irsa_stack.faults import refuse

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
    location: Location,
    ip_family: str = IPV4,
    cluster_scoped: bool = False,
    cluster_name: str | None = None,
    vpc_id: str | None = None,
    vpc_owner: str | None = None,
) -> dict[str, Document]:
    """Return the policy of the VPC CNI by name; none where AWS's managed one serves.

    Args:
        location: partition, region and AWS account of the cluster.
        ip_family: `ipv4` or `ipv6`.
        cluster_scoped: whether to hold it to one cluster. `aws-node` must have `CLUSTER_NAME` set.
        cluster_name: name of the cluster; needed with *cluster_scoped*.
        vpc_id: VPC of the cluster; needed with *cluster_scoped*.
        vpc_owner: AWS account of the VPC, if it is shared with the cluster's. Default: the
            cluster's.

    Raises:
        InvalidInput: a scope is empty or no scope; all faults are listed.
    """
    faults = list(family_faults(ip_family))
    if cluster_scoped:
        faults += [
            *cluster_name_faults(cluster_name),
            *vpc_id_faults(vpc_id),
            *vpc_owner_faults(vpc_owner),
        ]
    elif vpc_id is not None:
        faults.append(
            f"vpc_id must go with cluster_scoped=True, got {vpc_id!r} without it; add it, or leave"
            " vpc_id out"
        )
    refuse(faults)
    if cluster_scoped and cluster_name is not None and vpc_id is not None:
        return {
            "VpcCni": _of_cluster(
                location,
                ip_family,
                cluster_name,
                vpc_id,
                replace(location, aws_account=vpc_owner or location.aws_account),
            )
        }
    if ip_family == IPV6:
        return {"VpcCni": _of_account(location)}
    return {}


def _of_account(location: Location) -> Document:
    interfaces = [location.arn("ec2", "network-interface/*")]
    return document(
        allow("Describe", _DESCRIBE, ["*"]),
        allow("AssignAddresses", ["ec2:AssignIpv6Addresses"], interfaces),
        allow(
            "RefreshSecurityGroups",
            ["ec2:ModifyNetworkInterfaceAttribute"],
            [*interfaces, location.arn("ec2", "security-group/*")],
        ),
        allow("TagInterfaces", ["ec2:CreateTags"], interfaces),
    )


def _of_cluster(
    location: Location, ip_family: str, cluster_name: str, vpc_id: str, network: Location
) -> Document:
    """Hold the CNI to one cluster.

    Beyond upstream's sample, a tag can only be put on an interface that nobody else owns: there,
    the CNI of one cluster could call another's interfaces its own and then change them.
    """
    interfaces = [location.arn("ec2", "network-interface/*")]
    security_groups = location.arn("ec2", "security-group/*")
    requested = {f"aws:RequestTag/{CLUSTER_TAG}": cluster_name}
    owned = {f"aws:ResourceTag/{CLUSTER_TAG}": cluster_name}
    in_vpc = {"ec2:Vpc": network.arn("ec2", f"vpc/{vpc_id}")}
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
        statements += _more_interfaces(
            location, cluster_name, in_vpc, requested, owned, subnets=network.arn("ec2", "subnet/*")
        )
    return document(*statements)


def _more_interfaces(
    location: Location,
    cluster_name: str,
    in_vpc: dict[str, Any],
    requested: dict[str, Any],
    owned: dict[str, Any],
    *,
    subnets: str,
) -> list[Statement]:
    """Let the CNI add interfaces to the nodes of the cluster; for IPv6 the primary is enough."""
    interfaces = [location.arn("ec2", "network-interface/*")]
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
                location.arn("ec2", "security-group/*"),
                subnets,
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
            [location.arn("ec2", "instance/*")],
            {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster_name}": "owned"}},
        ),
    ]


def family_faults(ip_family: str) -> Iterator[str]:
    """Say why *ip_family* is none."""
    if ip_family not in _ADDRESSES:
        yield f"ip_family must be 'ipv4' or 'ipv6', got {ip_family!r}; correct it"


def vpc_cni_policy(
    ip_family: str = IPV6,
    *,
    cluster_name: str | None = None,
    vpc_id: str | None = None,
    vpc_owner: str | None = None,
) -> dict[str, Any]:
    """Return the VPC CNI's policy, for `AwsNodeRebinding(cni_policy=...)` and `AwsNodeAddon`.

    Args:
        ip_family: `ipv4` or `ipv6`. For IPv4 a cluster and a VPC are needed: else AWS's managed
            policy is the better one.
        cluster_name: cluster to hold it to; `aws-node` must have `CLUSTER_NAME` set. Default: none.
        vpc_id: VPC of that cluster.
        vpc_owner: AWS account of the VPC, if it is shared with the cluster's. Default: the
            cluster's.

    Returns:
        The document, for the AWS account and region of the stack that it is used in.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.
    """
    documents = policy_documents(
        location=Location(partition=PARTITION, region=REGION, aws_account=AWS_ACCOUNT_ID),
        ip_family=ip_family,
        cluster_scoped=cluster_name is not None,
        cluster_name=cluster_name,
        vpc_id=vpc_id,
        vpc_owner=vpc_owner,
    )
    if not documents:
        refuse(
            [
                "cluster_name must be given with ip_family='ipv4', got none; without one, leave"
                " cni_policy out and AWS's managed policy is attached"
            ]
        )
    names = {str(cluster_name): "ClusterName", str(vpc_id): "VpcId", str(vpc_owner): "VpcOwner"}
    # Only `Fn::Sub` resolves the pseudo parameters, so that a deploy-time value beside them must be
    # in it too.
    render = fn_sub_json if any(map(is_deploy_time, names)) else trust_document
    return render(documents["VpcCni"], names=names)
