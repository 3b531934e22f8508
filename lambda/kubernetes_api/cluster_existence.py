"""Whether a cluster that does not answer still exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from custom_resource import log

if TYPE_CHECKING:
    from kubernetes_api.cluster import Cluster

# Short: in a VPC without a way to the EKS API the question is never answered.
_QUICK = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3})


def is_gone(cluster: Cluster) -> bool:
    """Whether EKS says that the cluster is deleted, or being so; False when EKS cannot be asked."""
    try:
        answer = boto3.client("eks", config=_QUICK).describe_cluster(name=cluster.name)
    except ClientError as error:
        log("asked EKS for the cluster", cluster=cluster.name, said=str(error))
        return bool(error.response["Error"]["Code"] == "ResourceNotFoundException")
    except BotoCoreError as error:
        log("could not ask EKS for the cluster", level="WARNING", said=str(error))
        return False
    found = answer["cluster"]
    # Another endpoint: deleted, and made anew under the same name.
    return bool(found["status"] == "DELETING" or found.get("endpoint") != cluster.endpoint)
