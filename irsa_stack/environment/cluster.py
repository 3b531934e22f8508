"""The cluster of an environment: a new one, or an existing one."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from irsa_stack.eks.kubernetes_version import version_faults
from irsa_stack.eks.naming import cluster_name_faults
from irsa_stack.environment.part import Part
from irsa_stack.environment.values import (
    Cidr,
    KeyArn,
    RoleArn,
    SecurityGroupId,
    SubnetId,
    VpcId,
    checked,
    matching,
)
from irsa_stack.environment.vpc import VpcSettings
from irsa_stack.faults import refuse
from irsa_stack.iam import quotas
from irsa_stack.iam.arn import arn_faults
from irsa_stack.iam.issuer import issuer_url_faults
from irsa_stack.kubernetes.rbac import group_faults


class EndpointSettings(Part):
    """How the API server is reached."""

    private: bool = True
    """Whether it is reached from inside the VPC."""
    public: bool = True
    """Whether it is reached from the Internet."""
    public_cidrs: list[Cidr] = Field(default_factory=list)
    """Who reaches the public endpoint. Default: everybody, with an IAM identity."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        faults = []
        if not self.private and not self.public:
            faults.append("must be private, public or both, got neither; set private: true")
        if self.public_cidrs and not self.public:
            faults.append("public_cidrs must go with public: true, got false; remove them")
        elif self.public_cidrs and not self.private:
            faults.append(
                "public_cidrs must go with private: true, got false; nodes and functions have no"
                " address that could be listed"
            )
        refuse(faults)
        return self


def _once(values: list[str]) -> Iterator[str]:
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield f"must name each once, got {value!r} twice; remove one"


class NewCluster(Part):
    """A cluster to make."""

    version: Annotated[
        str, checked(lambda version: version_faults(version, of="value", create=True))
    ] = "1.36"
    """Kubernetes version, in quotes. Default: the newest that the CDK names."""
    log_types: list[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]] = (
        Field(default=["api", "audit", "authenticator", "controllerManager", "scheduler"])
    )
    """Control-plane logs to keep. Default: all five."""
    endpoint: EndpointSettings = Field(default_factory=EndpointSettings)
    """How the API server is reached."""
    vpc: VpcSettings
    """Where it runs."""
    secrets_encryption_key: KeyArn | None = None
    """KMS key of secrets. Default: one made with the cluster, rotated every year."""
    administrators: Annotated[list[RoleArn], checked(_once)] = Field(default_factory=list)
    """Roles of people who administer the cluster; they must exist. Default: nobody but
    CloudFormation's execution role, so kubectl answers Unauthorized."""


def _node_role_faults(role: str) -> Iterator[str]:
    if role.startswith("arn:"):
        yield from arn_faults(role, "role", of="value")
    elif "/" in role:
        yield (
            f"must be the name of a role, or the ARN of one with a path, got {role!r}; copy the ARN"
            " from IAM"
        )
    else:
        yield from quotas.role_name_faults(role, of="value")


class ExistingCluster(Part):
    """A cluster that another tool made."""

    name: Annotated[str, checked(lambda name: cluster_name_faults(name, of="value"))]
    """Its name."""
    version: Annotated[
        str, checked(lambda version: version_faults(version, of="value", create=False))
    ]
    """Its Kubernetes version, in quotes."""
    issuer_url: Annotated[str, checked(issuer_url_faults)]
    """Its OpenID Connect issuer URL."""
    create_oidc_provider: bool = False
    """Whether IAM has no OIDC provider for it yet."""
    endpoint: Annotated[
        str, matching(r"https://[^\s/]+", "https://ID.gr7.eu-west-1.eks.amazonaws.com")
    ]
    """URL of its API server."""
    certificate_authority_data: Annotated[
        str, matching(r"[A-Za-z0-9+/]+={0,2}", "LS0tLS1CRUdJTi...")
    ]
    """Its CA certificate, base64 of PEM."""
    ip_family: Literal["ipv4", "ipv6"] = "ipv4"
    """Addresses of its pods, which decide what `vpc_cni: rebind` lets aws-node do."""
    vpc_id: VpcId | None = None
    """Its VPC: for the load-balancer controller, and for a private-only endpoint."""
    zones: list[str] = Field(default_factory=list)
    """Zones of *private_subnets*, in their order."""
    private_subnets: list[SubnetId] = Field(default_factory=list)
    """Subnets that functions run in; give them when the endpoint is private only."""
    security_groups: list[SecurityGroupId] = Field(default_factory=list)
    """Security groups that its endpoint lets in; needed with *private_subnets*."""
    kubernetes_group: (
        Annotated[str, checked(lambda group: group_faults(group, of="value"))] | None
    ) = None
    """Kubernetes group of the functions, which may do what its RBAC says and no more. Apply that
    before the deploy: docs/binder.md. Default: EKS's AmazonEKSEditPolicy in the namespaces, which
    in kube-system amounts to cluster admin."""
    node_roles: list[Annotated[str, checked(_node_role_faults)]] = Field(default_factory=list)
    """Its node roles, which lose the CNI policy with `vpc_cni: rebind`: names, or ARNs where roles
    have a path."""

    @model_validator(mode="after")
    def _whole_network(self) -> Self:
        given = [self.private_subnets, self.security_groups, self.zones]
        if any(given) and not (all(given) and self.vpc_id):
            raise ValueError(
                "private_subnets must go with vpc_id, zones and security_groups; give all four or"
                " none"
            )
        return self


class ClusterSettings(Part):
    """The cluster: a new one, or an existing one."""

    new: NewCluster | None = None
    """A cluster to make."""
    existing: ExistingCluster | None = None
    """A cluster that another tool made."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.new is None) == (self.existing is None):
            raise ValueError("must have either new or existing; give one")
        return self
