"""Mountpoint for Amazon S3 CSI driver: objects of named buckets and prefixes.

See: https://github.com/awslabs/mountpoint-s3/blob/main/doc/CONFIGURATION.md#iam-permissions
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from irsa_stack.controllers.object_store import bucket_faults
from irsa_stack.controllers.scopes import KEY, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow, use_keys
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class MountpointS3CsiDriver(ControllerSpec):
    """Mounts named buckets as volumes, with one role for all pods of the cluster.

    AWS recommends `AmazonS3FullAccess`. To hold pods apart, set `authenticationSource: pod` on a
    volume and give each pod's service account its own role, with these statements.

    Examples:
        >>> from irsa_stack.controllers import MountpointS3CsiDriver
        >>> models = MountpointS3CsiDriver(buckets={"payments-prod-models": "v1/"})
    """

    buckets: Mapping[str, str] = field(default_factory=dict)
    """Names of the buckets, each with the prefix of its objects; an empty prefix is the whole
    bucket."""
    write: bool = False
    """Whether pods write new objects."""
    delete: bool = False
    """Whether pods delete objects, with the mount option `allow-delete`."""
    kms_keys: Sequence[str] = ()
    """ARNs of the keys that the buckets are encrypted with. Default: S3's own."""

    upstream = Upstream(
        policy="https://github.com/awslabs/mountpoint-s3/blob/main/doc/CONFIGURATION.md",
        version="v2.7.0",
        released="2026-06-11",
        minimum="v2.0.0",
        because="runs Mountpoint in pods of its own",
        chart="aws-mountpoint-s3-csi-driver",
        repository="https://awslabs.github.io/mountpoint-s3-csi-driver",
        chart_version="2.7.0",
    )
    service_account = "s3-csi-driver-sa"
    chart_path = "node.serviceAccount"
    addon = "aws-mountpoint-s3-csi-driver"
    wildcards = {
        "ReadObjects": "objects of the buckets and prefixes given",
        "WriteObjects": "objects of the buckets and prefixes given",
        "DeleteObjects": "objects of the buckets and prefixes given",
    }

    def faults(self) -> Iterator[str]:
        yield from bucket_faults(self.buckets)
        yield from list_faults(self.kms_keys, KEY, of="kms_keys")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        arns = {bucket: f"arn:{location.partition}:s3:::{bucket}" for bucket in self.buckets}
        objects = [f"{arns[bucket]}/{prefix}*" for bucket, prefix in self.buckets.items()]
        statements = []
        for position, (bucket, prefix) in enumerate(self.buckets.items()):
            # Mountpoint lists the prefix itself to find out whether it is there.
            below = {"StringLike": {"s3:prefix": [f"{prefix}*"]}} if prefix else None
            statements.append(
                allow(f"ListBucket{position}", ["s3:ListBucket"], [arns[bucket]], below)
            )
        statements.append(allow("ReadObjects", ["s3:GetObject"], objects))
        if self.write:
            write = ["s3:AbortMultipartUpload", "s3:PutObject"]
            statements.append(allow("WriteObjects", write, objects))
        if self.delete:
            statements.append(allow("DeleteObjects", ["s3:DeleteObject"], objects))
        encrypt = ["GenerateDataKey"] if self.write else []
        keys = use_keys(location, self.kms_keys, ["Decrypt", *encrypt], service="s3")
        return {"MountpointS3CsiDriver": [*statements, *keys]}
