"""The node groups of a new cluster."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.environment.values import Word, matching


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
    release_version: (
        Annotated[str, matching(r"\d+\.\d+\.\d+-[0-9a-z]+", "1.36.1-20261120")] | None
    ) = None
    """Release of the nodes' image. Default: EKS's newest when the group is made or the cluster's
    version changes."""

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if not self.min_size <= self.desired_size <= self.max_size:
            raise ValueError(
                "must have min_size <= desired_size <= max_size, got"
                f" {self.min_size}, {self.desired_size}, {self.max_size}; correct them"
            )
        return self
