"""The node groups of a new cluster."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from irsa_stack.eks.instance_types import architecture_of
from irsa_stack.environment.part import Part
from irsa_stack.environment.values import SubnetId, Word, checked, matching
from irsa_stack.faults import refuse
from irsa_stack.kubernetes.service_account_manifest import metadata_faults


def _label_faults(labels: dict[str, str]) -> Iterator[str]:
    yield from metadata_faults(labels=labels, annotations={})
    for key in labels:
        yield from _reserved_faults(key)


def _reserved_faults(key: str) -> Iterator[str]:
    """Refuse what a node may not say of itself.

    See: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
    """
    prefix = key.rpartition("/")[0]
    own = prefix in ("kubernetes.io", "k8s.io") or prefix.endswith((".kubernetes.io", ".k8s.io"))
    may = prefix.endswith(("node.kubernetes.io", "kubelet.kubernetes.io"))
    if (own and not may) or prefix == "eks.amazonaws.com":
        yield (
            f"must not have keys of Kubernetes or EKS, got {key!r}; choose a prefix of yours,"
            " because nodes may not give themselves such labels"
        )


def _taint_key_faults(key: str) -> Iterator[str]:
    for fault in metadata_faults(labels={key: ""}, annotations={}):
        yield fault.replace("labels must have keys", "must be")


class Taint(Part):
    """A taint of nodes."""

    key: Annotated[str, checked(_taint_key_faults)]
    """Its key, such as example.com/gpu."""
    value: Annotated[str, matching(r"[A-Za-z0-9]?[A-Za-z0-9._-]{0,62}", "true")] = ""
    """Its value."""
    effect: Literal["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"] = "NO_SCHEDULE"
    """What becomes of pods that do not tolerate it."""


class NodeGroup(Part):
    """A managed node group."""

    name: Word
    """Its name within the cluster."""
    instance_types: list[Annotated[str, matching(r"[a-z0-9-]+\.[a-z0-9-]+", "m7g.large")]] = Field(
        min_length=1
    )
    """Instance types of one architecture."""
    min_size: Annotated[int, Field(ge=0)] = 1
    """Fewest nodes."""
    desired_size: Annotated[int, Field(ge=0)] = 2
    """Nodes at first."""
    max_size: Annotated[int, Field(ge=1)] = 3
    """Most nodes."""
    ami_family: Literal["AL2023", "BOTTLEROCKET"] = "AL2023"
    """Operating system; Amazon Linux 2 images are no longer published."""
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    """Processor of the instance types."""
    capacity_type: Literal["ON_DEMAND", "SPOT"] = "ON_DEMAND"
    """Whether AWS may take the instances back, for a lower price."""
    disk_size: Annotated[int, Field(ge=20, le=16384)] = 20
    """GiB of the volume that holds images and logs."""
    labels: Annotated[dict[str, str], checked(_label_faults)] = Field(default_factory=dict)
    """Labels of its nodes in Kubernetes."""
    taints: list[Taint] = Field(default_factory=list)
    """Taints of its nodes, which keep off pods that do not tolerate them."""
    subnets: list[SubnetId] = Field(default_factory=list)
    """Of `cluster.new.vpc.private_subnets`, those that its nodes run in. Default: all."""
    zones: list[str] = Field(default_factory=list)
    """Of `cluster.new.vpc.zones`, those that its nodes run in. Default: all."""
    release_version: (
        Annotated[str, matching(r"\d+\.\d+\.\d+-[0-9a-z]+", "1.36.1-20261120")] | None
    ) = None
    """Release of the nodes' image. Default: EKS's newest when the group is made or the cluster's
    version changes."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = []
        if not self.min_size <= self.desired_size <= self.max_size:
            faults.append(
                "must have min_size <= desired_size <= max_size, got"
                f" {self.min_size}, {self.desired_size}, {self.max_size}; correct them"
            )
        others = [
            name for name in self.instance_types if architecture_of(name) != self.architecture
        ]
        if others:
            other = "arm64" if self.architecture == "x86_64" else "x86_64"
            fix = (
                f"write architecture: {other}"
                if len(others) == len(self.instance_types)
                else "put them into a group of their own"
            )
            faults.append(
                f"instance_types must be of architecture {self.architecture}, got"
                f" {', '.join(others)}; {fix}"
            )
        if self.subnets and self.zones:
            faults.append("must have either subnets or zones, got both; remove one")
        refuse(faults)
        return self
