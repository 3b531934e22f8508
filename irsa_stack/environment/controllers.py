"""The controllers of an environment."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.environment.values import Namespace, matching
from irsa_stack.faults import refuse
from irsa_stack.kubernetes.binding_rules import binding_faults


class ControllerSettings(Part):
    """A controller that is scoped to the cluster."""

    namespace: Namespace = "kube-system"
    """Namespace of its account."""
    ownership: Literal["CREATE", "ADOPT", "HELM", "NONE"] = "CREATE"
    """Whose object its account is."""
    force: bool = False
    """With ADOPT, whether to take annotations that another tool owns, such as a chart's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(binding_faults(self.ownership, force=self.force))
        return self


class ExternalDnsSettings(ControllerSettings):
    """The controller that keeps DNS records."""

    hosted_zones: list[Annotated[str, matching(r"Z[0-9A-Z]{1,31}", "Z0123456789ABCDEFGHIJ")]] = (
        Field(min_length=1)
    )
    """Ids of the zones that it may write."""


class Controllers(Part):
    """Controllers that get a role. Leave one out to leave it alone."""

    external_dns: ExternalDnsSettings | None = None
    """Keeps DNS records of services and ingresses."""
    aws_load_balancer_controller: ControllerSettings | None = None
    """Keeps load balancers; once called alb-ingress-controller."""
    cluster_autoscaler: ControllerSettings | None = None
    """Keeps the number of nodes."""
