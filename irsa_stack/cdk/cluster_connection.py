"""How a function reaches a cluster, whoever made the cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_ec2 as ec2

from irsa_stack.cdk.handler_function import FunctionNetwork
from irsa_stack.eks.cluster_attributes import (
    certificate_authority_faults,
    endpoint_faults,
)
from irsa_stack.eks.kubernetes_version import version_faults
from irsa_stack.eks.naming import cluster_name_faults
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.iam.issuer import issuer_url_faults


@dataclass(frozen=True, kw_only=True)
class ClusterConnection:
    """Say where functions of ours reach a cluster, whoever made it.

    Args:
        cluster_name: name of the cluster.
        endpoint: `https://` URL of its API server.
        certificate_authority_data: its CA certificate, base64 of PEM.
        network: where functions run; needed when the endpoint is private only, or its public side
            is restricted to addresses. Default: outside any VPC.
        kubernetes_version: such as `1.36`. Default: not known.
        takes_access_entries: whether its authentication mode has the API. Default: as far as is
            known, yes.
    """

    cluster_name: str
    endpoint: str
    certificate_authority_data: str
    network: FunctionNetwork | None = None
    kubernetes_version: str | None = None
    takes_access_entries: bool = True

    @staticmethod
    def of(cluster: Any) -> "ClusterConnection":  # noqa: ANN401 (three kinds of cluster)
        """Read the connection of *cluster*.

        Functions run in its VPC when only from there the endpoint is reached: private access is on,
        and public access is off or restricted to addresses.

        Args:
            cluster: `aws_eks.ICluster`, `aws_eks_v2.ICluster`, an `ImportedCluster`, or a
                connection.

        Raises:
            InvalidInput: *cluster* is an import that lacks an attribute.
        """
        if isinstance(cluster, ClusterConnection):
            return cluster
        if isinstance(cluster, ImportedCluster):
            return cluster.connection
        # By attribute and not by class: importing both EKS modules would cost half a second.
        try:
            return ClusterConnection(
                cluster_name=cluster.cluster_name,
                endpoint=cluster.cluster_endpoint,
                certificate_authority_data=cluster.cluster_certificate_authority_data,
                network=_network(cluster),
                takes_access_entries=_takes_access_entries(cluster),
            )
        except (AttributeError, RuntimeError) as error:
            raise InvalidInput(
                [
                    f"cluster must have a name, an endpoint and a certificate authority, got"
                    f" {type(cluster).__name__} ({str(error).splitlines()[0]}); pass"
                    " ImportedCluster(...)"
                ]
            ) from error


@dataclass(frozen=True, kw_only=True)
class ImportedCluster:
    """Describe a cluster that Terraform, eksctl or the console made.

    Synthesises nothing. `aws eks describe-cluster --name NAME` prints its attributes; those that
    are strings may be known only at deploy time.

    Args:
        name: name of the cluster.
        endpoint: `https://` URL of its API server.
        certificate_authority_data: its CA certificate, base64 of PEM.
        issuer_url: `https://` URL of its OIDC issuer.
        vpc: VPC that functions run in; give it when the endpoint is private only, or its public
            side is restricted to addresses. Default: they run outside any VPC.
        subnets: subnets of *vpc*. Default: the private ones; the isolated ones where there are no
            others, which then need endpoints of EKS, STS and S3.
        security_groups: groups that the endpoint lets in, such as the cluster's own. Default: one
            is made for each function, and the cluster's must let *vpc* in at port 443.
        kubernetes_version: such as `1.36`, in quotes. Default: not known.

    Raises:
        InvalidInput: an attribute is none of an EKS cluster, or *vpc* is missing; all faults are
            listed.

    Examples:
        >>> from irsa_stack import ImportedCluster
        >>> cluster = ImportedCluster(
        ...     name="payments-prod",
        ...     endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        ...     certificate_authority_data="LS0tLS1CRUdJTi...",
        ...     issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ... )

    See:
        https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html
    """

    name: str
    endpoint: str
    certificate_authority_data: str
    issuer_url: str
    vpc: ec2.IVpc | None = None
    subnets: ec2.SubnetSelection | None = None
    security_groups: Sequence[ec2.ISecurityGroup] = ()
    kubernetes_version: str | None = None

    def __post_init__(self) -> None:
        """Refuse what describes no cluster."""
        faults = [
            *cluster_name_faults(self.name),
            *endpoint_faults(self.endpoint),
            *certificate_authority_faults(self.certificate_authority_data),
            *issuer_url_faults(self.issuer_url),
        ]
        if self.kubernetes_version is not None:
            faults += version_faults(self.kubernetes_version, of="kubernetes_version", create=False)
        faults += [
            f"vpc must be given with {name}, got none; pass the cluster's VPC"
            for name in ("subnets", "security_groups")
            if self.vpc is None and getattr(self, name)
        ]
        refuse(faults)

    @property
    def connection(self) -> ClusterConnection:
        """Where functions reach it."""
        return ClusterConnection(
            cluster_name=self.name,
            endpoint=self.endpoint,
            certificate_authority_data=self.certificate_authority_data,
            network=(
                None
                if self.vpc is None
                else FunctionNetwork(
                    vpc=self.vpc, subnets=self.subnets, security_groups=self.security_groups
                )
            ),
            kubernetes_version=self.kubernetes_version,
        )


def _network(cluster: Any) -> FunctionNetwork | None:  # noqa: ANN401
    """Return where functions must run to reach *cluster*, as far as it tells."""
    # `aws_eks` makes its own kubectl function the same way: private subnets, if any, mean that the
    # VPC has a private endpoint; whether the public one is restricted, it does not tell.
    subnets = getattr(cluster, "kubectl_private_subnets", None)
    group = getattr(cluster, "kubectl_security_group", None)
    if subnets and group is not None:
        return _within(cluster, [group], ec2.SubnetSelection(subnets=subnets))
    resource = cluster.node.try_find_child("Resource")
    config = getattr(resource, "resources_vpc_config", None)
    if getattr(config, "endpoint_private_access", None) is not True:
        return None
    public = getattr(config, "endpoint_public_access", None) is not False
    if public and not is_restricted(getattr(config, "public_access_cidrs", None) or ()):
        return None
    return _within(cluster, [cluster.cluster_security_group], None)


def _takes_access_entries(cluster: Any) -> bool:  # noqa: ANN401
    """Whether *cluster* has the API in its authentication mode; `aws_eks` makes it without."""
    if not hasattr(cluster, "authentication_mode") or not cluster.node.try_find_child("Resource"):
        return True  # of `aws_eks_v2`, which knows no other mode, or an import, which does not tell
    mode = cluster.authentication_mode
    return mode is not None and mode.name != "CONFIG_MAP"


def _within(
    cluster: Any,  # noqa: ANN401
    groups: Sequence[ec2.ISecurityGroup],
    subnets: ec2.SubnetSelection | None,
) -> FunctionNetwork | None:
    try:
        vpc = cluster.vpc
    except RuntimeError:  # an import that does not say
        return None
    return FunctionNetwork(vpc=vpc, security_groups=groups, subnets=subnets)


def is_restricted(public_access_cidrs: Sequence[str]) -> bool:
    """Whether a public endpoint lets only these addresses in, of which a function has none."""
    return bool(public_access_cidrs) and not {"0.0.0.0/0", "::/0"} & set(public_access_cidrs)
