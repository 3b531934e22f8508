"""Whether EKS knows a cluster as it was given to us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from custom_resource import Failure, log

if TYPE_CHECKING:
    from kubernetes_api.cluster import Cluster

# Short: in a VPC without a way to the EKS API the question is never answered.
_QUICK = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3})


class NoSuchCluster(Failure):
    """EKS has no cluster of that name and endpoint."""


def confirm_endpoint(cluster: Cluster) -> str:
    """The cluster's status in EKS, which must have it with this endpoint.

    It is asked before a token for the cluster goes to the endpoint. Where EKS cannot be asked, as
    in a VPC without a way to it, that is logged, and the status is empty.

    Raises:
        NoSuchCluster: EKS has no such cluster, or another endpoint for it.
        Failure: EKS names another certificate authority.
    """
    try:
        answer = boto3.client("eks", config=_QUICK).describe_cluster(name=cluster.name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise NoSuchCluster(
                "Cluster.Name must name a cluster of this account and region, got "
                f"{cluster.name!r}; correct it"
            ) from error
        log("EKS did not confirm the endpoint", level="WARNING", said=str(error))
        return ""
    except BotoCoreError as error:
        log("EKS did not confirm the endpoint", level="WARNING", said=str(error))
        return ""
    found = answer["cluster"]
    _compare(NoSuchCluster, cluster, "Endpoint", cluster.endpoint, found.get("endpoint"))
    _compare(
        Failure,
        cluster,
        "CertificateAuthorityData",
        cluster.certificate_authority_data,
        found.get("certificateAuthority", {}).get("data"),
    )
    return str(found["status"])


def is_gone(cluster: Cluster) -> bool:
    """Whether EKS says that the cluster is deleted, or being so; False when EKS cannot be asked."""
    try:
        return confirm_endpoint(cluster) == "DELETING"
    except NoSuchCluster as failure:
        log("there is no such cluster", said=str(failure))
        return True


def _compare(
    fault: type[Failure], cluster: Cluster, name: str, given: str, told: str | None
) -> None:
    # A cluster that is being made, or deleted, may have none.
    if told and told.strip() != given.strip():
        raise fault(
            f"Cluster.{name} must be the one that EKS names for {cluster.name}, got "
            f"{given[:100]!r}; pass what `aws eks describe-cluster` says"
        )
