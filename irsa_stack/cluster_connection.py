"""How a function reaches a cluster, whoever made the cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_ec2 as ec2

from irsa_stack.faults import refuse
from irsa_stack.handler_function import FunctionNetwork


@dataclass(frozen=True, kw_only=True)
class ClusterConnection:
    """Say where a cluster is reached, be it made by the CDK, eksctl, Terraform or the console.

    Args:
        cluster_name: name of the cluster.
        endpoint: `https://` URL of its API server.
        certificate_authority_data: its CA certificate, base64 of PEM.
        network: where functions run; needed when the endpoint is private only. Default: outside
            any VPC.
        kubernetes_version: such as `1.36`. Default: not known.
    """

    cluster_name: str
    endpoint: str
    certificate_authority_data: str
    network: FunctionNetwork | None = None
    kubernetes_version: str | None = None

    @staticmethod
    def from_attributes(
        *,
        cluster_name: str,
        endpoint: str,
        certificate_authority_data: str,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] = (),
        kubernetes_version: str | None = None,
    ) -> "ClusterConnection":
        """Describe a cluster that another tool made.

        Args:
            cluster_name: name of the cluster.
            endpoint: `https://` URL of its API server.
            certificate_authority_data: its CA certificate, base64 of PEM.
            vpc: VPC that functions run in; give it when the endpoint is private only. Default:
                they run outside any VPC.
            subnets: subnets of *vpc*. Default: the private ones.
            security_groups: groups that the endpoint lets in. Needed with *vpc*.
            kubernetes_version: such as `1.36`. Default: not known.

        Raises:
            InvalidInput: *vpc* without *security_groups*, or an attribute is empty.
        """
        faults = [
            f"{name} must not be empty, got {value!r}; `aws eks describe-cluster` prints it"
            for name, value in (
                ("cluster_name", cluster_name),
                ("endpoint", endpoint),
                ("certificate_authority_data", certificate_authority_data),
            )
            if not value
        ]
        if vpc is not None and not security_groups:
            faults.append("security_groups must be given with vpc, got none; pass the cluster's")
        if vpc is None and security_groups:
            faults.append(
                "vpc must be given with security_groups, got none; pass the cluster's VPC"
            )
        refuse(faults)
        return ClusterConnection(
            cluster_name=cluster_name,
            endpoint=endpoint,
            certificate_authority_data=certificate_authority_data,
            network=(
                None
                if vpc is None
                else FunctionNetwork(vpc=vpc, subnets=subnets, security_groups=security_groups)
            ),
            kubernetes_version=kubernetes_version,
        )

    @staticmethod
    def of(cluster: Any) -> "ClusterConnection":  # noqa: ANN401 (three kinds of cluster)
        """Read the connection of *cluster*.

        Args:
            cluster: `aws_eks.ICluster`, `aws_eks_v2.ICluster`, or a connection.

        Raises:
            InvalidInput: *cluster* is an import that lacks an attribute.
        """
        if isinstance(cluster, ClusterConnection):
            return cluster
        # By attribute and not by class: importing both EKS modules would cost half a second.
        try:
            return ClusterConnection(
                cluster_name=cluster.cluster_name,
                endpoint=cluster.cluster_endpoint,
                certificate_authority_data=cluster.cluster_certificate_authority_data,
                network=_private_network(cluster),
            )
        except (AttributeError, RuntimeError) as error:
            refuse(
                [
                    f"cluster must have a name, an endpoint and a certificate authority, got"
                    f" {type(cluster).__name__} ({str(error).splitlines()[0]}); pass"
                    " ClusterConnection.from_attributes(...)"
                ]
            )
            raise


def _private_network(cluster: Any) -> FunctionNetwork | None:  # noqa: ANN401
    """Return where to run for a cluster whose endpoint is private only, as its template says."""
    resource = cluster.node.try_find_child("Resource")
    config = getattr(resource, "resources_vpc_config", None)
    if getattr(config, "endpoint_public_access", None) is not False:
        return None
    return FunctionNetwork(vpc=cluster.vpc, security_groups=[cluster.cluster_security_group])
