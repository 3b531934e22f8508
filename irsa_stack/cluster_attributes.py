"""What tells a cluster that another tool made, as `aws eks describe-cluster` prints it."""

import re
from collections.abc import Iterator

from irsa_stack.deploy_time import is_deploy_time

_CLUSTER_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_ENDPOINT = re.compile(r"https://[^\s/?#@]+")


def cluster_name_faults(cluster_name: object) -> Iterator[str]:
    """Say what makes *cluster_name* no name of an EKS cluster."""
    if not _fits(_CLUSTER_NAME, cluster_name):
        yield (
            "cluster_name must be 1-100 letters, digits, '-' and '_', got"
            f" {cluster_name!r}; pass the name that `aws eks list-clusters` prints"
        )


def endpoint_faults(endpoint: object) -> Iterator[str]:
    """Say what makes *endpoint* no URL of an API server."""
    if not _fits(_ENDPOINT, endpoint):
        yield (
            "endpoint must be such as 'https://ID.gr7.eu-west-1.eks.amazonaws.com', got"
            f" {endpoint!r}; copy it from `aws eks describe-cluster`"
        )


def certificate_authority_faults(data: object) -> Iterator[str]:
    """Say what makes *data* no CA certificate in base64."""
    if not isinstance(data, str) or not data or data != "".join(data.split()) or "-----" in data:
        yield (
            "certificate_authority_data must be base64 of PEM in one line, got"
            f" {str(data)[:30]!r}; copy it from `aws eks describe-cluster`"
        )


def _fits(rule: re.Pattern[str], value: object) -> bool:
    return (
        isinstance(value, str)
        and bool(value)
        and (is_deploy_time(value) or rule.fullmatch(value) is not None)
    )
