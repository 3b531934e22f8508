"""The VPC of a new cluster."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.environment.values import SubnetId, VpcId, checked, cidr_faults
from irsa_stack.faults import refuse


def _vpc_cidr_faults(cidr: str) -> Iterator[str]:
    faults = list(cidr_faults(cidr))
    yield from faults
    if not faults and not 16 <= ipaddress.ip_network(cidr).prefixlen <= 22:  # noqa: PLR2004 (VPC limits, and room)
        yield (
            f"must be a block of /16 to /22, got {cidr!r}; smaller ones leave pods no addresses,"
            " because six zones share it so that a zone can be added later"
        )


class VpcSettings(Part):
    """The VPC of a new cluster: one to make, or one that is there."""

    cidr: Annotated[str, checked(_vpc_cidr_faults)] | None = None
    """Addresses of a VPC to make, such as 10.0.0.0/16."""
    availability_zones: Annotated[int, Field(ge=2, le=6)] = 2
    """How many zones a VPC to make spans, 2 to 6; the first ones that AWS lists. Name `zones`
    where EKS refuses one of them."""
    nat_gateways: Annotated[int, Field(ge=1, le=6)] = 1
    """How many NAT gateways a VPC to make has; one a zone survives the loss of a zone."""
    id: VpcId | None = None
    """An existing VPC; name its subnets too."""
    zones: list[str] = Field(default_factory=list)
    """Zones by name, 2 to 6: those of a VPC to make (append later ones at the end), or those of the
    existing subnets, in their order."""
    private_subnets: list[SubnetId] = Field(default_factory=list)
    """Existing private subnets, one a zone."""
    public_subnets: list[SubnetId] = Field(default_factory=list)
    """Existing public subnets, one a zone, for load balancers."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        faults = []
        if (self.cidr is None) == (self.id is None):
            faults.append("must have either cidr (to make one) or id (an existing one); give one")
        ours = {"availability_zones", "nat_gateways"}
        theirs = {"private_subnets", "public_subnets"}
        faults.extend(
            f"{name} must go with {'cidr' if name in ours else 'id'}, got it without; remove it"
            for name in sorted(self.model_fields_set & (ours if self.cidr is None else theirs))
        )
        if self.cidr is not None and "zones" in self.model_fields_set:
            if "availability_zones" in self.model_fields_set:
                faults.append("zones must go without availability_zones, got both; remove that one")
            if not 2 <= len(set(self.zones)) == len(self.zones) <= 6:  # noqa: PLR2004
                faults.append(
                    f"zones must be 2 to 6 different ones, got {self.zones!r}; correct it"
                )
        if self.id is not None and not len(self.zones) == len(self.private_subnets) >= 2:  # noqa: PLR2004
            faults.append(
                "must have two or more private_subnets and their zones with id, got"
                f" {len(self.private_subnets)} and {len(self.zones)}; list one subnet a zone"
            )
        if (
            self.id is not None
            and self.public_subnets
            and len(self.public_subnets) != len(self.zones)
        ):
            faults.append(
                f"must have one public subnet a zone, got {len(self.public_subnets)} for"
                f" {len(self.zones)} zones; list them all or none"
            )
        refuse(faults)
        return self
