"""Velero: backups of one cluster in named buckets, and snapshots of its own volumes.

See: https://github.com/vmware-tanzu/velero-plugin-for-aws/blob/v1.13.2/README.md
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irsa_stack.controllers.object_store import bucket_faults, object_statements
from irsa_stack.controllers.scopes import KEY, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import (
    Conditions,
    Location,
    Statement,
    allow,
    owned_by,
    requested_for,
)
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class Velero(ControllerSpec):
    """Backs a cluster up into named buckets, and with EBS snapshots of its own volumes.

    Volumes are its own if they bear `kubernetes.io/cluster/NAME: owned`, as those of the EBS CSI
    driver do; Velero copies their tags to snapshots. Upstream's policy snapshots, tags and deletes
    any volume's. With CSI snapshots, leave *volume_snapshots* off.

    Examples:
        >>> from irsa_stack.controllers import Velero
        >>> backups = Velero(buckets={"payments-prod-backups": "velero/"})
    """

    buckets: Mapping[str, str] = field(default_factory=dict)
    """Names of the buckets of the backups, each with the prefix of its objects."""
    kms_keys: Sequence[str] = ()
    """ARNs of the keys that the buckets are encrypted with. Default: S3's own."""
    volume_snapshots: bool = False
    """Whether it makes EBS snapshots itself, and restores volumes from them."""

    upstream = Upstream(
        policy="https://github.com/vmware-tanzu/velero-plugin-for-aws/blob/v1.13.2/README.md",
        version="v1.13.2",
        released="2025-12-31",
        minimum="v1.0.0",
        because="tags restored volumes with the cluster of AWS_CLUSTER_NAME",
        chart="velero",
        repository="https://vmware-tanzu.github.io/helm-charts",
        chart_version="12.1.0",
    )
    namespace = "velero"
    service_account = "velero-server"
    chart_path = "serviceAccount.server"
    wildcards = {
        "ReadObjects": "objects of the buckets and prefixes given",
        "WriteObjects": "objects of the buckets and prefixes given",
        "Describe": "EC2 describes these on no resource level; nothing is written",
        "SnapshotVolumes": "volumes come and go; only those of this cluster",
        "CreateSnapshots": "ids are not known before; only with the tag of this cluster",
        "DeleteSnapshots": "snapshots come and go; only those of this cluster",
        "RestoreSnapshots": "snapshots come and go; only those of this cluster",
        "CreateVolumes": "ids are not known before; only with the tag of this cluster",
        "TagNew": "ids are not known before; only while they are made for this cluster",
    }

    def faults(self) -> Iterator[str]:
        yield from bucket_faults(self.buckets)
        yield from list_faults(self.kms_keys, KEY, of="kms_keys")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        statements = object_statements(location, self.buckets, self.kms_keys)
        if self.volume_snapshots:
            volumes = [location.arn("ec2", "volume/*")]
            snapshots = [location.public_arn("ec2", "snapshot/*")]
            owned: Conditions = {"StringEquals": owned_by(cluster.name)}
            requested: Conditions = {"StringEquals": requested_for(cluster.name)}
            created = {
                "ec2:CreateAction": ["CreateSnapshot", "CreateVolume"],
                **requested_for(cluster.name),
            }
            describe = ["ec2:DescribeSnapshots", "ec2:DescribeVolumes"]
            statements += [
                allow("Describe", describe, ["*"]),
                allow("SnapshotVolumes", ["ec2:CreateSnapshot"], volumes, owned),
                allow("CreateSnapshots", ["ec2:CreateSnapshot"], snapshots, requested),
                allow("DeleteSnapshots", ["ec2:DeleteSnapshot"], snapshots, owned),
                allow("RestoreSnapshots", ["ec2:CreateVolume"], snapshots, owned),
                allow("CreateVolumes", ["ec2:CreateVolume"], volumes, requested),
                allow(
                    "TagNew",
                    ["ec2:CreateTags"],
                    [*volumes, *snapshots],
                    {"StringEquals": created},
                ),
            ]
        return {"Velero": statements}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        bucket, prefix = next(iter(self.buckets.items()))
        region = {"region": location.region}
        store = {"provider": "aws", "bucket": bucket, "config": region}
        configuration: dict[str, Any] = {
            "backupStorageLocation": [{**store, **({"prefix": prefix} if prefix else {})}],
            "extraEnvVars": [{"name": "AWS_CLUSTER_NAME", "value": cluster.name}],
        }
        if self.volume_snapshots:
            configuration["volumeSnapshotLocation"] = [{"provider": "aws", "config": region}]
        return {
            "credentials": {"useSecret": False},
            "snapshotsEnabled": self.volume_snapshots,
            "configuration": configuration,
        }
