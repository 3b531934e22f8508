"""EBS CSI driver: the volumes and snapshots of one cluster.

AWS's `AmazonEBSCSIDriverPolicy` attaches and changes any volume of the AWS account. Its newer
cluster-scoped policy compares with a session tag that only EKS Pod Identity sets. Here the tag that
the driver has put on its volumes since v0.6 must name the cluster, literally.

See: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/v1.64.0/docs/AmazonEBSCSIDriverPolicyV2.json
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.scopes import KEY, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import (
    Conditions,
    Location,
    Statement,
    allow,
    owned_by,
    requested_for,
    use_keys,
)
from irsa_stack.controllers.upstream import Upstream

_DESCRIBE = "AvailabilityZones InstanceTypes Instances Snapshots VolumeStatus Volumes"


@dataclass(frozen=True, kw_only=True)
class EbsCsiDriver(ControllerSpec):
    """Keeps the EBS volumes and snapshots of one cluster.

    Volumes without the tag `kubernetes.io/cluster/NAME: owned`, such as those made by hand, must be
    tagged first, and snapshots of other clusters cannot be restored. It does not clone volumes: AWS
    evaluates no tag of the source there.

    Examples:
        >>> from irsa_stack.controllers import EbsCsiDriver
        >>> ebs = EbsCsiDriver(kms_keys=["arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d"])
    """

    kms_keys: Sequence[str] = ()
    """ARNs of the keys of volumes whose storage class names one. Default: AWS's own key."""
    snapshots: bool = True
    """Whether it makes, deletes and restores snapshots."""
    modify_tags: bool = False
    """Whether a VolumeAttributesClass may change tags of volumes; never those that say whose they
    are."""

    upstream = Upstream(
        policy="https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/v1.64.0/docs/AmazonEBSCSIDriverPolicyV2.json",
        version="v1.64.0",
        released="2026-08-17",
        minimum="v1.62.0",
        because="lets no VolumeAttributesClass overwrite the tag of the cluster",
        chart="aws-ebs-csi-driver",
        repository="https://kubernetes-sigs.github.io/aws-ebs-csi-driver",
        chart_version="2.63.1",
    )
    service_account = "ebs-csi-controller-sa"
    chart_path = "controller.serviceAccount"
    addon = "aws-ebs-csi-driver"
    wildcards = {
        "Describe": "EC2 describes these on no resource level; nothing is written",
        "CreateVolumes": "ids are not known before; only with the tag of this cluster",
        "ChangeVolumes": "volumes come and go; only those of this cluster",
        "AttachToNodes": "nodes come and go; only those of this cluster",
        "TagNew": "ids are not known before; only while they are made for this cluster",
        "CreateFromSnapshots": "snapshots come and go; only those of this cluster",
        "CreateSnapshots": "ids are not known before; only with the tag of this cluster",
        "SnapshotVolumes": "volumes come and go; only those of this cluster",
        "DeleteSnapshots": "snapshots come and go; only those of this cluster",
        "Retag": "volumes come and go; only those of this cluster, and not the tag that says so",
    }

    def faults(self) -> Iterator[str]:
        yield from list_faults(self.kms_keys, KEY, of="kms_keys")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        volumes, snapshots = (
            [location.arn("ec2", "volume/*")],
            # A snapshot's ARN has no AWS account.
            [location.public_arn("ec2", "snapshot/*")],
        )
        owned = {"StringEquals": owned_by(cluster.name)}
        requested = {"StringEquals": requested_for(cluster.name)}
        makes = ["CreateVolume", *(["CreateSnapshot"] if self.snapshots else [])]
        created = {"StringEquals": {"ec2:CreateAction": makes, **requested_for(cluster.name)}}
        attach = ["ec2:AttachVolume", "ec2:DetachVolume"]
        statements = [
            allow(
                "Describe",
                [
                    *(f"ec2:Describe{one}" for one in _DESCRIBE.split()),
                    "ec2:DescribeVolumesModifications",
                ],
                ["*"],
            ),
            allow("CreateVolumes", ["ec2:CreateVolume"], volumes, requested),
            allow(
                "ChangeVolumes",
                [*attach, "ec2:DeleteVolume", "ec2:ModifyVolume"],
                volumes,
                owned,
            ),
            allow("AttachToNodes", attach, [location.arn("ec2", "instance/*")], owned),
            allow(
                "TagNew",
                ["ec2:CreateTags"],
                [*volumes, *(snapshots if self.snapshots else [])],
                created,
            ),
            *use_keys(
                location,
                self.kms_keys,
                ["Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext"],
                service="ec2",
            ),
        ]
        if self.kms_keys:
            via = {"kms:ViaService": location.services("ec2")}
            granted: Conditions = {
                "StringEquals": via,
                "Bool": {"kms:GrantIsForAWSResource": "true"},
            }
            statements.append(allow("GrantKeys", ["kms:CreateGrant"], self.kms_keys, granted))
        if self.snapshots:
            statements += [
                allow("CreateFromSnapshots", ["ec2:CreateVolume"], snapshots, owned),
                allow("CreateSnapshots", ["ec2:CreateSnapshot"], snapshots, requested),
                allow("SnapshotVolumes", ["ec2:CreateSnapshot"], volumes, owned),
                allow("DeleteSnapshots", ["ec2:DeleteSnapshot"], snapshots, owned),
            ]
        if self.modify_tags:
            kept = ["ebs.csi.aws.com/*", "kubernetes.io/*", "CSIVolumeName"]
            retag: Conditions = {
                **owned,
                "ForAllValues:StringNotLike": {"aws:TagKeys": kept},
                "Null": {"aws:TagKeys": "false"},
            }
            statements.append(allow("Retag", ["ec2:CreateTags", "ec2:DeleteTags"], volumes, retag))
        return {"EbsCsiDriver": statements}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        return {"controller": {"region": location.region, "k8sTagClusterId": cluster.name}}
