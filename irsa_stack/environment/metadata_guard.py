"""How pods of a new cluster are kept off instance metadata."""

from typing import Annotated, Literal

from pydantic import Field

from irsa_stack.environment.part import Part


class MetadataGuardSettings(Part):
    """How pods are kept off the node's credentials."""

    hop_limit: Annotated[int, Field(ge=1, le=64)] = 1
    """Network hops that metadata answers live; 1 stops at the node."""
    packet_filter: Literal["none", "nftables", "iptables"] = "nftables"
    """Second layer on AL2023; `iptables` is the rule that is often copied, with its holes."""
