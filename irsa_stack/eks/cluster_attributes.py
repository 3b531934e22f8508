"""What tells a cluster that another tool made, as `aws eks describe-cluster` prints it."""

import re
from collections.abc import Iterator

from irsa_stack.cloudformation.deploy_time import is_deploy_time

_ENDPOINT = re.compile(r"https://[^\s/?#@]+")


def endpoint_faults(endpoint: object) -> Iterator[str]:
    """Say what makes *endpoint* no URL of an API server."""
    if isinstance(endpoint, str) and endpoint and is_deploy_time(endpoint):
        return
    if not isinstance(endpoint, str) or not _ENDPOINT.fullmatch(endpoint):
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
