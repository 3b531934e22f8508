"""Clusters to hang constructs on: described, never deployed."""

import base64
from typing import Any

from aws_cdk import Stack, aws_iam
from constructs import Construct

from irsa_stack import EksOidcProvider, ImportedCluster, ServiceAccounts

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"

CERTIFICATE = base64.b64encode(
    b"-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"
).decode()


def connection(**kwargs: Any) -> ImportedCluster:
    """A cluster that another tool made."""
    return ImportedCluster(
        name="payments-prod",
        endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        certificate_authority_data=CERTIFICATE,
        issuer_url=f"https://{ISSUER}",
        **kwargs,
    )


def imported_provider(stack: Construct) -> aws_iam.IOpenIdConnectProvider:
    """The OIDC provider of that cluster."""
    return EksOidcProvider.from_issuer_url(stack, "OidcProvider", f"https://{ISSUER}")


def service_accounts(stack: Stack, **kwargs: Any) -> ServiceAccounts:
    """The service accounts of that cluster."""
    arguments = {"cluster": connection(), "oidc_provider": imported_provider(stack)} | kwargs
    return ServiceAccounts(stack, "ServiceAccounts", **arguments)
