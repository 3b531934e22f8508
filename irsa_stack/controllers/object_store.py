"""Loki, Tempo, Mimir, Thanos and others that keep their data in S3: named buckets and prefixes.

See: https://grafana.com/docs/loki/latest/operations/storage/
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from irsa_stack.controllers.scopes import BUCKET, KEY, PREFIX, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Conditions, Location, Statement, allow, use_keys
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class ObjectStore(ControllerSpec):
    """Keeps data in S3: of Loki, and with another namespace and name, of Tempo, Mimir or Thanos.

    Upstream's policies reach all objects of a bucket; here a prefix holds two clusters or teams of
    one bucket apart. The chart is Loki's: others take its service account values as they are.

    Examples:
        >>> from irsa_stack.controllers import ObjectStore
        >>> chunks = ObjectStore(buckets={"payments-prod-logs": "loki/"})
        >>> queries = ObjectStore(buckets={"payments-prod-logs": "loki/"}, read_only=True)
    """

    buckets: Mapping[str, str] = field(default_factory=dict)
    """Names of the buckets, each with the prefix of its objects; an empty prefix is the whole
    bucket."""
    read_only: bool = False
    """Whether it only reads, as queriers do."""
    tagging: bool = False
    """Whether it reads and writes tags of objects, as Tempo does."""
    kms_keys: Sequence[str] = ()
    """ARNs of the keys that the buckets are encrypted with. Default: S3's own."""

    upstream = Upstream(
        policy="https://grafana.com/docs/loki/latest/operations/storage/",
        version="3.6.12",
        released="2026-08-22",
        minimum="2.0.0",
        because="takes a role from its environment",
        chart="loki",
        repository="https://grafana.github.io/helm-charts",
        chart_version="7.3.0",
    )
    namespace = "loki"
    service_account = "loki"
    wildcards = {
        "ReadObjects": "objects of the buckets and prefixes given",
        "WriteObjects": "objects of the buckets and prefixes given",
    }

    def faults(self) -> Iterator[str]:
        yield from bucket_faults(self.buckets)
        yield from list_faults(self.kms_keys, KEY, of="kms_keys")
        if self.read_only and self.tagging:
            yield "tagging must go without read_only, got both; leave one out"

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        made = object_statements(
            location, self.buckets, self.kms_keys, read_only=self.read_only, tagging=self.tagging
        )
        return {"ObjectStore": made}


def bucket_faults(buckets: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with buckets and their prefixes."""
    if not isinstance(buckets, Mapping):
        yield f"buckets must map names to prefixes, got {buckets!r}; write {{'name': 'prefix/'}}"
        return
    yield from list_faults(list(buckets), BUCKET, of="buckets", required=True)
    for prefix in filter(None, buckets.values()):
        yield from PREFIX.faults(prefix, of="prefix of buckets")


def object_statements(
    location: Location,
    buckets: Mapping[str, str],
    kms_keys: Sequence[str],
    *,
    read_only: bool = False,
    tagging: bool = False,
) -> list[Statement]:
    """Return statements that list, read and, unless *read_only*, write and delete objects."""
    arns = {bucket: f"arn:{location.partition}:s3:::{bucket}" for bucket in buckets}
    objects = [f"{arns[bucket]}/{prefix}*" for bucket, prefix in buckets.items()]
    statements: list[Statement] = []
    whole = [arns[bucket] for bucket, prefix in buckets.items() if not prefix]
    if whole:
        statements.append(allow("ListBuckets", ["s3:ListBucket"], whole))
    for position, (bucket, prefix) in enumerate(buckets.items()):
        if prefix:
            below: Conditions = {"StringLike": {"s3:prefix": [f"{prefix}*"]}}
            sid = f"ListPrefix{position}" if len(buckets) > 1 else "ListPrefix"
            statements.append(allow(sid, ["s3:ListBucket"], [arns[bucket]], below))
    read = ["s3:GetObject", *(["s3:GetObjectTagging"] if tagging else [])]
    statements.append(allow("ReadObjects", read, objects))
    if not read_only:
        write = ["AbortMultipartUpload", "DeleteObject", "ListMultipartUploadParts", "PutObject"]
        write += ["PutObjectTagging"] if tagging else []
        statements.append(allow("WriteObjects", [f"s3:{action}" for action in write], objects))
    encrypt = [] if read_only else ["GenerateDataKey"]
    return [*statements, *use_keys(location, kms_keys, ["Decrypt", *encrypt], service="s3")]
