"""EKS clusters."""

from collections.abc import Iterator

from rehearsal.refusals.change import Change, Properties, Refusal, Template
from rehearsal.refusals.intrinsics import references

KIND = "AWS::EKS::Cluster"
CREATABLE = range(32, 37)
"""Minor versions that EKS creates: 1.31 left extended support on 2026-11-26."""
ZONES_WITHOUT_EKS = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
_FEWEST_ZONES = 2

_VERSIONS = "https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html"
_UPDATES = "https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html"
_SUBNETS = "https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html"
_SAME_ZONES = "https://github.com/aws/containers-roadmap/issues/2258"
_CIDRS = "https://github.com/aws/aws-cdk/issues/37926"


def versions(change: Change) -> Iterator[Refusal]:
    """Refuse a version that EKS does not create, and a step of more than one minor version up."""
    for logical_id, properties in change.made(KIND):
        version = properties.get("Version")
        if version is not None and minor(version) not in CREATABLE:
            yield Refusal(
                resource=logical_id, message="unsupported Kubernetes version", source=_VERSIONS
            )
    for logical_id, old, new in change.updated(KIND):
        before, after = old.get("Version"), new.get("Version")
        if before != after and minor(str(after)) - minor(str(before)) != 1:
            yield Refusal(
                resource=logical_id,
                message=f"Unsupported Kubernetes minor version update from {before} to {after}",
                source=_UPDATES,
            )


def zones(change: Change) -> Iterator[Refusal]:
    """Refuse other zones than those that the cluster was made with, and fewer than two."""
    for logical_id, properties in change.made(KIND):
        found = _zones(change, properties, change.new)
        if found and len(found) < _FEWEST_ZONES:
            yield Refusal(
                resource=logical_id,
                message="Subnets specified must be in at least two different AZs",
                source=_SUBNETS,
            )
    for logical_id, old, new in change.updated(KIND):
        before = _zones(change, old, change.old or {})
        after = _zones(change, new, change.new)
        if before != after:
            yield Refusal(
                resource=logical_id,
                message=f"Provided subnets belong to the AZs '{','.join(after)}'. But they should"
                f" belong to the exact set of AZs '{','.join(before)}' in which subnets were"
                " provided during cluster creation.",
                source=_SAME_ZONES,
            )


def zones_without_eks(change: Change) -> Iterator[Refusal]:
    """Refuse a zone that no control plane can be in; its name differs from account to account."""
    for logical_id, properties in change.made(KIND):
        for zone in _zones(change, properties, change.new):
            if change.place.zones.get(zone) in ZONES_WITHOUT_EKS:
                yield Refusal(
                    resource=logical_id,
                    message=f"Cannot create cluster '{properties.get('Name')}' because {zone}, the"
                    " targeted availability zone, does not currently have sufficient capacity to"
                    " support the cluster.",
                    source=_SUBNETS,
                )


def public_access_left_out(change: Change) -> Iterator[Refusal]:
    """Refuse to leave `PublicAccessCidrs` out once they were there."""
    for logical_id, old, new in change.updated(KIND):
        before, after = (side.get("ResourcesVpcConfig") or {} for side in (old, new))
        if "PublicAccessCidrs" in before and "PublicAccessCidrs" not in after:
            yield Refusal(
                resource=logical_id,
                message="The new template must include all the properties specified in the previous"
                " template, property PublicAccessCidrs missing",
                source=_CIDRS,
            )


def minor(version: str) -> int:
    """Return the minor version of `1.36` or of `1.36.2-20261101`."""
    return int(version.split(".")[1])


def _zones(change: Change, cluster: Properties, template: Template) -> list[str]:
    """Return the zones of a cluster's subnets that the template makes."""
    resources = template.get("Resources") or {}
    subnets = (cluster.get("ResourcesVpcConfig") or {}).get("SubnetIds") or []
    found = {
        change.zone(resources[name]["Properties"]["AvailabilityZone"])
        for name, _ in references(subnets)
        if resources.get(name, {}).get("Type") == "AWS::EC2::Subnet"
    }
    return sorted(found)
