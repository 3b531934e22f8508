"""EFS CSI driver, its nodes: mount named file systems with IAM.

See: https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irsa_stack.controllers.scopes import FILE_SYSTEM, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Conditions, Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class EfsCsiNode(ControllerSpec):
    """Mounts named file systems, for volumes with the mount option `iam`; others need no role.

    Examples:
        >>> from irsa_stack.controllers import EfsCsiNode
        >>> mounts = EfsCsiNode(
        ...     file_systems=[
        ...         "arn:aws:elasticfilesystem:eu-west-1:111122223333:file-system/fs-0a1b2c3d"
        ...     ],
        ...     read_only=True,
        ... )
    """

    file_systems: Sequence[str] = ()
    """ARNs of the file systems that nodes mount."""
    read_only: bool = False
    """Whether they are only read."""

    upstream = Upstream(
        policy="https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html",
        version="v3.4.1",
        released="2026-07-23",
        minimum="v3.0.0",
        because="has one service account for the controller and one for the nodes",
        chart="aws-efs-csi-driver",
        repository="https://kubernetes-sigs.github.io/aws-efs-csi-driver",
        chart_version="4.4.1",
    )
    service_account = "efs-csi-node-sa"
    chart_path = "node.serviceAccount"
    addon = "aws-efs-csi-driver"

    def faults(self) -> Iterator[str]:
        yield from list_faults(self.file_systems, FILE_SYSTEM, of="file_systems", required=True)

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        actions = ["ClientMount", *([] if self.read_only else ["ClientWrite"])]
        mounted: Conditions = {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}
        mount = [f"elasticfilesystem:{action}" for action in actions]
        return {"EfsCsiNode": [allow("Mount", mount, self.file_systems, mounted)]}
