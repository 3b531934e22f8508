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


_EKS_ENDPOINT = re.compile(
    r"https://([0-9A-Za-z]+)\.\w+\.([a-z0-9-]+)\.eks\.amazonaws\.com(?:\.cn)?"
)
_EKS_ISSUER = re.compile(r"https://oidc[.-]eks\.([a-z0-9-]+)\.[a-z.]+(?:/id/([0-9A-Za-z]+))?")


def cluster_place_faults(
    *, endpoint: str | None = None, issuer_url: str | None = None, region: str | None = None
) -> Iterator[str]:
    """Say where an endpoint, an issuer and a region are not of one cluster of EKS.

    Whatever is known only at deploy time, or of another host than EKS's, has no faults.
    """
    reached = _EKS_ENDPOINT.fullmatch(endpoint or "")
    issued = _EKS_ISSUER.fullmatch(issuer_url or "")
    facts = {
        "endpoint": (endpoint, reached and reached[2]),
        "issuer_url": (issuer_url, issued and issued[1]),
    }
    for of, (value, found) in facts.items():
        if found and region and found != region:
            yield (
                f"{of} must be of a cluster in {region}, got {value!r}; deploy to {found}, because"
                " EKS and the provider's clusters are reached in their own region"
            )
    if issued and not issued[2]:
        yield (
            f"issuer_url must have the cluster's id, got {issuer_url!r}; copy the OpenID Connect"
            " provider URL, which ends in /id/ and 32 digits"
        )
    elif issued and reached and issued[2].lower() != reached[1].lower():
        yield (
            f"endpoint must be of the cluster with issuer {issuer_url!r}, got {endpoint!r}; copy"
            " both from one `aws eks describe-cluster`, because EKS has one id for both"
        )
