"""The launch template that keeps pods from their node's credentials."""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from aws_cdk import Annotations, Size
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from irsa_stack.faults import refuse
from irsa_stack.nodes.instance_metadata import HOP_LIMITS
from irsa_stack.nodes.user_data import (
    BOTTLEROCKET_SETTINGS,
    NODE_CONFIG,
    AmiFamily,
    PacketFilter,
    UserDataPart,
    default_packet_filter,
    node_user_data,
    node_user_data_faults,
)

_DEFAULT_VOLUME_GIB = 20
_BOTTLEROCKET_SYSTEM_GIB = 4
"""See: https://karpenter.sh/docs/concepts/nodeclasses/#specblockdevicemappings"""


class HopLimit(IntEnum):
    """How many hosts an answer that carries a metadata token may reach; any of 1 to 64 serves."""

    NODE = 1
    """The node and pods in its network; on the way to any other pod the answer is dropped."""

    PODS = 2
    """Every pod as well: each can take the node's role, unless a packet filter stops it."""


class InstanceMetadataGuard(Construct):
    """Define the launch template of nodes whose pods cannot reach instance metadata.

    Synthesises one `AWS::EC2::LaunchTemplate` that requires tokens *and* limits their hops: either
    alone leaves metadata open, version 1 of it with a hop limit, version 2 with tokens. EC2 fills
    in what a template leaves out, and not always with these. Root volumes are gp3 and encrypted.
    Tags of the scope reach the instances and their volumes.

    The template serves managed node groups (`launch_template_spec`), self-managed groups
    (`launch_template`, with *machine_image*), and Karpenter (`karpenter_node_class`).

    Args:
        ami_family: operating system of the nodes' image. Default: AL2023.
        hop_limit: 1 to 64. Default: 1, the node itself.
        packet_filter: second layer in the node's kernel. Default: `NFTABLES` on AL2023, none on
            Bottlerocket, which takes none.
        ipv6_endpoint: whether the node also gets metadata at fd00:ec2::254; the same limits hold
            there. Default: no.
        user_data: more that the nodes are told at first boot; see `shell_script`, `node_config`,
            `bottlerocket_settings`. Default: nothing.
        volume_size: size of the volume that holds images and logs. Default: 20 GiB.
        volume_key: key of the volumes; the service-linked role of EC2 Auto Scaling must be let use
            it. Default: the account's key for EBS.
        machine_image: image of the nodes. EKS then adds no user data of its own, so *user_data*
            must hold `cluster_settings`. Default: the node group's.
        instance_type: for self-managed groups. Default: the group's.
        role: for self-managed groups, the nodes' role; managed groups have a property for it.
            Default: none.
        security_group: group of the nodes. Default: the cluster's, for managed groups.

    Raises:
        InvalidInput: a property breaks a rule, or the family cannot be guarded; all faults are
            listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import InstanceMetadataGuard
        >>> guard = InstanceMetadataGuard(cdk.Stack(), "MetadataGuard")
        >>> guard.closed_to_pods
        True

    See:
        https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        ami_family: AmiFamily = AmiFamily.AL2023,
        hop_limit: int = HopLimit.NODE,
        packet_filter: PacketFilter | None = None,
        ipv6_endpoint: bool = False,
        user_data: Sequence[UserDataPart] = (),
        volume_size: Size | None = None,
        volume_key: kms.IKey | None = None,
        machine_image: ec2.IMachineImage | None = None,
        instance_type: ec2.InstanceType | None = None,
        role: iam.IRole | None = None,
        security_group: ec2.ISecurityGroup | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.ami_family = AmiFamily(ami_family)
        """Family of the nodes' image."""
        self.packet_filter = PacketFilter(packet_filter or default_packet_filter(self.ami_family))
        """Second layer in the node's kernel."""
        refuse(
            [
                *_hop_limit_faults(hop_limit),
                *node_user_data_faults(self.ami_family, self.packet_filter, user_data),
                *(_image_faults(self.ami_family, user_data) if machine_image else ()),
            ]
        )
        self.hop_limit = int(hop_limit)
        """Hosts that a token's answer may reach."""
        self._ipv6_endpoint = ipv6_endpoint
        self._user_data = node_user_data(self.ami_family, self.packet_filter, user_data)
        self._volumes = _volumes(self.ami_family, volume_size)
        self._volume_key_arn = volume_key.key_arn if volume_key else None

        self.launch_template: ec2.ILaunchTemplate = ec2.LaunchTemplate(
            self,
            "Node",
            http_endpoint=True,
            http_tokens=ec2.LaunchTemplateHttpTokens.REQUIRED,
            http_put_response_hop_limit=self.hop_limit,
            http_protocol_ipv6=ipv6_endpoint,
            user_data=ec2.UserData.custom(self._user_data) if self._user_data else None,
            block_devices=[
                ec2.BlockDevice(
                    device_name=device,
                    volume=ec2.BlockDeviceVolume.ebs(
                        gibibytes,
                        encrypted=True,
                        kms_key=volume_key,
                        volume_type=ec2.EbsDeviceVolumeType.GP3,
                    ),
                )
                for device, gibibytes in self._volumes.items()
            ],
            machine_image=machine_image,
            instance_type=instance_type,
            role=role,
            security_group=security_group,
        )
        """The template, for an Auto Scaling group."""
        if not self.closed_to_pods:
            Annotations.of(self).add_warning_v2(
                "irsa-stack:metadata-open-to-pods",
                f"hop_limit must be {HopLimit.NODE:d} to keep pods from the node's role, got"
                f" {self.hop_limit} with packet_filter {self.packet_filter}; lower it, choose"
                f" {PacketFilter.NFTABLES}, or acknowledge this warning",
            )

    @property
    def closed_to_pods(self) -> bool:
        """Whether no pod reaches metadata but those in the host's network.

        Where it is, controllers must be told what they would ask metadata for: see
        `refuse_untold_controllers`.
        """
        return self.hop_limit == HopLimit.NODE or self.packet_filter is PacketFilter.NFTABLES

    @property
    def launch_template_spec(self) -> dict[str, str]:
        """Id and newest version, as node groups of `aws_eks`, `aws_eks_v2` and L1 want them."""
        return {
            "id": self.launch_template.launch_template_id or "",
            "version": self.launch_template.version_number,
        }

    def karpenter_node_class(
        self,
        name: str,
        *,
        role: str,
        subnet_selector_terms: Sequence[Mapping[str, Any]],
        security_group_selector_terms: Sequence[Mapping[str, Any]],
        ami_alias: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the manifest of an `EC2NodeClass` whose nodes are guarded in the same way.

        Karpenter makes launch templates of its own; this carries over the metadata options, the
        user data and the volumes.

        Args:
            name: name of the node class.
            role: name of the nodes' role.
            subnet_selector_terms: which subnets, such as `[{"tags": {"discovery": "dev"}}]`.
            security_group_selector_terms: which security groups.
            ami_alias: images, such as `al2023@v20260714`. Default: the family's newest.
            tags: tags of instances and volumes; tags of the scope do not reach them. Default: none.

        See:
            https://karpenter.sh/docs/concepts/nodeclasses/
        """
        ebs: dict[str, Any] = {"volumeType": "gp3", "encrypted": True, "deleteOnTermination": True}
        if self._volume_key_arn:
            ebs["kmsKeyID"] = self._volume_key_arn
        spec: dict[str, Any] = {
            "amiSelectorTerms": [{"alias": ami_alias or f"{self.ami_family.lower()}@latest"}],
            "role": role,
            "subnetSelectorTerms": [dict(term) for term in subnet_selector_terms],
            "securityGroupSelectorTerms": [dict(term) for term in security_group_selector_terms],
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "enabled" if self._ipv6_endpoint else "disabled",
                "httpPutResponseHopLimit": self.hop_limit,
                "httpTokens": "required",
            },
            "blockDeviceMappings": [
                {"deviceName": device, "ebs": {"volumeSize": f"{gibibytes}Gi", **ebs}}
                for device, gibibytes in self._volumes.items()
            ],
        }
        if self._user_data:
            spec["userData"] = self._user_data
        if tags:
            spec["tags"] = dict(tags)
        return {
            "apiVersion": "karpenter.k8s.aws/v1",
            "kind": "EC2NodeClass",
            "metadata": {"name": name},
            "spec": spec,
        }


def _hop_limit_faults(hop_limit: int) -> Iterator[str]:
    if hop_limit not in HOP_LIMITS:
        yield (
            f"hop_limit must be {HOP_LIMITS[0]}-{HOP_LIMITS[-1]}, got {hop_limit!r}; 1 keeps pods"
            " out, 2 lets them in"
        )


def _image_faults(ami_family: AmiFamily, parts: Sequence[UserDataPart]) -> Iterator[str]:
    bottlerocket = ami_family is AmiFamily.BOTTLEROCKET
    needed = BOTTLEROCKET_SETTINGS if bottlerocket else NODE_CONFIG
    if not any(part.content_type == needed for part in parts):
        yield (
            f"user_data must tell nodes their cluster when machine_image is given, got no {needed}"
            " part; EKS adds none to such a template: add cluster_settings(...)"
        )


def _volumes(ami_family: AmiFamily, size: Size | None) -> dict[str, int]:
    """Return GiB by device: images and logs lie on the last one."""
    gibibytes = int(size.to_gibibytes()) if size else _DEFAULT_VOLUME_GIB
    if ami_family is AmiFamily.BOTTLEROCKET:
        return {"/dev/xvda": _BOTTLEROCKET_SYSTEM_GIB, "/dev/xvdb": gibibytes}
    return {"/dev/xvda": gibibytes}
