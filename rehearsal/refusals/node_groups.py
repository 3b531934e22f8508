"""EKS managed node groups."""

from collections.abc import Iterator

from rehearsal.refusals.change import Change, Properties, Refusal
from rehearsal.refusals.clusters import minor
from rehearsal.refusals.intrinsics import references

KIND = "AWS::EKS::Nodegroup"
_ROLLING = frozenset({"LaunchTemplate", "ReleaseVersion", "Version"})
_CONFIGURATION = frozenset(
    {"Labels", "NodeRepairConfig", "ScalingConfig", "Tags", "Taints", "UpdateConfig"}
)
_OLDER_AT_MOST = 3

_COMBINED = "https://github.com/aws/containers-roadmap/issues/1258"
_SKEW = "https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html"


def combined_updates(change: Change) -> Iterator[Refusal]:
    """Refuse new nodes and another configuration in one update; stack tags count as well.

    See: https://github.com/awsdocs/aws-cloudformation-user-guide/pull/1181
    """
    for logical_id, _old, _new in change.updated(KIND):
        changed = change.changed[logical_id]
        if changed & _ROLLING and (changed & _CONFIGURATION or change.is_retagged):
            yield Refusal(
                resource=logical_id,
                message="Version and ReleaseVersion updates cannot be combined with other updates",
                source=_COMBINED,
            )


def versions(change: Change) -> Iterator[Refusal]:
    """Refuse nodes newer than the cluster, and a cluster too new for nodes that are there."""
    for logical_id, properties in change.of_type(KIND):
        for cluster, _ in references(properties.get("ClusterName")):
            version = change.resources.get(cluster, {}).get("Properties", {}).get("Version")
            if version is None:
                continue
            nodes = _version(properties)
            if nodes is not None and nodes > minor(version):
                yield Refusal(
                    resource=logical_id,
                    message=f"Nodegroup version 1.{nodes} must not be newer than the cluster's"
                    f" {version}",
                    source=_SKEW,
                )
            old = change.old_resources.get(logical_id, {}).get("Properties", {})
            there = _version(old)
            if there is not None and minor(version) - there > _OLDER_AT_MOST:
                yield Refusal(
                    resource=cluster,
                    message=f"Nodegroups {logical_id} must be updated to match cluster version"
                    " before updating cluster version",
                    source=_SKEW,
                )


def _version(properties: Properties) -> int | None:
    text = properties.get("ReleaseVersion") or properties.get("Version")
    return minor(text) if isinstance(text, str) else None
