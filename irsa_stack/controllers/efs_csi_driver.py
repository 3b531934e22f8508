"""EFS CSI driver, its controller: access points on named file systems.

See: https://github.com/kubernetes-sigs/aws-efs-csi-driver/blob/v3.4.1/docs/iam-policy-example.json
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.scopes import FILE_SYSTEM, ROLE, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow, owned_by, requested_for
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class EfsCsiDriver(ControllerSpec):
    """Makes and deletes the access points of one cluster, on named file systems.

    The chart values make the driver tag access points with the cluster, and the policy asks for
    that tag; AWS's policy takes every file system, and any cluster's access points. The nodes have
    a role of their own: `EfsCsiNode`.

    Examples:
        >>> from irsa_stack.controllers import EfsCsiDriver
        >>> efs = EfsCsiDriver(
        ...     file_systems=[
        ...         "arn:aws:elasticfilesystem:eu-west-1:111122223333:file-system/fs-0a1b2c3d"
        ...     ]
        ... )
    """

    file_systems: Sequence[str] = ()
    """ARNs of the file systems that it makes access points on."""
    assume_roles: Sequence[str] = ()
    """ARNs of the roles that hold file systems of other AWS accounts. Default: none."""

    upstream = Upstream(
        policy="https://github.com/kubernetes-sigs/aws-efs-csi-driver/blob/v3.4.1/docs/iam-policy-example.json",
        version="v3.4.1",
        released="2026-07-23",
        minimum="v3.0.0",
        because="has one service account for the controller and one for the nodes",
        chart="aws-efs-csi-driver",
        repository="https://kubernetes-sigs.github.io/aws-efs-csi-driver",
        chart_version="4.4.1",
    )
    service_account = "efs-csi-controller-sa"
    chart_path = "controller.serviceAccount"
    addon = "aws-efs-csi-driver"
    wildcards = {
        "ReadAccessPoints": "access points come and go; read only",
        "ReadZones": "EC2 describes zones on no resource level; nothing is written",
        "TagAccessPoints": "ids are not known before; only while they are made for this cluster",
        "DeleteAccessPoints": "access points come and go; only those of this cluster",
    }

    def faults(self) -> Iterator[str]:
        yield from list_faults(
            self.file_systems, FILE_SYSTEM, of="file_systems", required=not self.assume_roles
        )
        yield from list_faults(self.assume_roles, ROLE, of="assume_roles")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        points = [location.arn("elasticfilesystem", "access-point/*")]
        asked = requested_for(cluster.name)
        created = {"elasticfilesystem:CreateAction": "CreateAccessPoint", **asked}
        statements: list[Statement] = []
        if self.file_systems:
            describe = [
                f"elasticfilesystem:Describe{one}" for one in ("FileSystems", "MountTargets")
            ]
            statements = [
                allow("ReadFileSystems", describe, self.file_systems),
                allow(
                    "ReadAccessPoints",
                    ["elasticfilesystem:DescribeAccessPoints"],
                    [*self.file_systems, *points],
                ),
                allow("ReadZones", ["ec2:DescribeAvailabilityZones"], ["*"]),
                allow(
                    "CreateAccessPoints",
                    ["elasticfilesystem:CreateAccessPoint"],
                    self.file_systems,
                    {"StringEquals": asked},
                ),
                allow(
                    "TagAccessPoints",
                    ["elasticfilesystem:TagResource"],
                    points,
                    {"StringEquals": created},
                ),
                allow(
                    "DeleteAccessPoints",
                    ["elasticfilesystem:DeleteAccessPoint"],
                    points,
                    {"StringEquals": owned_by(cluster.name)},
                ),
            ]
        if self.assume_roles:
            statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], self.assume_roles))
        return {"EfsCsiDriver": statements}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        return {
            "controller": {
                "tags": {f"kubernetes.io/cluster/{cluster.name}": "owned"},
                "env": [{"name": "AWS_REGION", "value": location.region}],
            }
        }
