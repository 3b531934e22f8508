"""Managed node groups whose role holds no CNI policy and whose metadata service is closed."""

from aws_cdk import Aws, Size, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from constructs import Construct, IDependable

from irsa_stack.cdk.metadata_guard import InstanceMetadataGuard
from irsa_stack.environment.metadata_guard import MetadataGuardSettings
from irsa_stack.environment.nodes import NodeGroup
from irsa_stack.nodes.user_data import AmiFamily, PacketFilter

# No AmazonEKS_CNI_Policy: aws-node has a role of its own.
# https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)
_DISK_SIZE = NodeGroup.model_fields["disk_size"].default
_PACKET_FILTERS = {
    "none": PacketFilter.NONE,
    "nftables": PacketFilter.NFTABLES,
    "iptables": PacketFilter.ARTICLE_IPTABLES,
}


def define_node_role(scope: Construct, id: str, *, path: str | None) -> iam.Role:
    """Define the role of the nodes: it joins, pulls images, and is reached by Session Manager."""
    return iam.Role(
        scope,
        id,
        assumed_by=iam.CompositePrincipal(*map(iam.ServicePrincipal, _ec2_principals(scope))),
        path=path,
        managed_policies=[
            iam.ManagedPolicy.from_aws_managed_policy_name(name) for name in NODE_POLICIES
        ],
    )


def _ec2_principals(scope: Construct) -> list[str]:
    """Return the names of EC2 that EKS wants in a node role; in China there are two.

    See: https://github.com/aws/aws-cdk/issues/24696
    """
    region, name = Stack.of(scope).region, "ec2.amazonaws.com"
    if Token.is_unresolved(region) or region.startswith("cn-"):
        return [name, f"ec2.{Aws.URL_SUFFIX}"]  # written out, the CDK would drop the suffix
    return [name]


class NodeGroups(Construct):
    """Define the managed node groups of a cluster, after `aws-node` has its role.

    Args:
        cluster_name: name of the cluster.
        version: Kubernetes version of the cluster, which nodes follow.
        vpc: its VPC; nodes run in the private subnets.
        groups: what to define.
        role: role of the nodes.
        guard: how metadata is closed.
        after: what must be there before the first node.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cluster_name: str,
        version: str,
        vpc: ec2.IVpc,
        groups: list[NodeGroup],
        role: iam.IRole,
        guard: MetadataGuardSettings,
        after: list[IDependable],
    ) -> None:
        super().__init__(scope, id)
        subnet_ids = vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnet_ids
        guards: dict[tuple[str, int], InstanceMetadataGuard] = {}
        for group in groups:
            kind = (group.ami_family, group.disk_size)
            if kind not in guards:
                # The volume of EKS's own default keeps the name that it had when it was the only.
                size = "" if group.disk_size == _DISK_SIZE else str(group.disk_size)
                guards[kind] = InstanceMetadataGuard(
                    self,
                    f"{group.ami_family.title()}Guard{size}",
                    ami_family=AmiFamily(group.ami_family),
                    hop_limit=guard.hop_limit,
                    packet_filter=(
                        _PACKET_FILTERS[guard.packet_filter]
                        if group.ami_family == "AL2023"
                        else PacketFilter.NONE
                    ),
                    volume_size=Size.gibibytes(group.disk_size),
                )
            nodes = eks.CfnNodegroup(
                self,
                group.name,
                cluster_name=cluster_name,
                node_role=role.role_arn,
                subnets=_subnets(group, vpc) or subnet_ids,
                version=None if group.release_version else version,
                release_version=group.release_version,
                ami_type=_ami_type(group),
                instance_types=group.instance_types,
                capacity_type=None if group.capacity_type == "ON_DEMAND" else "SPOT",
                labels=group.labels or None,
                taints=[
                    eks.CfnNodegroup.TaintProperty(
                        key=taint.key, value=taint.value or None, effect=taint.effect
                    )
                    for taint in group.taints
                ]
                or None,
                launch_template=guards[kind].launch_template_spec,
                scaling_config=eks.CfnNodegroup.ScalingConfigProperty(
                    min_size=group.min_size,
                    desired_size=group.desired_size,
                    max_size=group.max_size,
                ),
                update_config=eks.CfnNodegroup.UpdateConfigProperty(max_unavailable=1),
            )
            nodes.node.add_dependency(*after)


def _subnets(group: NodeGroup, vpc: ec2.IVpc) -> list[str]:
    """Return the subnets that *group* names; by zone, if it names zones."""
    by_zone = [
        subnet.subnet_id
        for subnet in vpc.private_subnets
        if subnet.availability_zone in group.zones
    ]
    return group.subnets or by_zone


def _ami_type(group: NodeGroup) -> str:
    arm = group.architecture == "arm64"
    if group.ami_family == "AL2023":
        return "AL2023_ARM_64_STANDARD" if arm else "AL2023_x86_64_STANDARD"
    return "BOTTLEROCKET_ARM_64" if arm else "BOTTLEROCKET_x86_64"
