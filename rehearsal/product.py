"""The product as deployed: its stacks' outputs, and what they made."""

from dataclasses import dataclass
from typing import Any

from rehearsal.account import Account
from rehearsal.cdk import Cdk
from rehearsal.kubernetes import Cluster

CLUSTER_STACK = "rehearsal-local-cluster"
ACCOUNTS_STACK = "rehearsal-local-service-accounts"
CLUSTER_NAME = "rehearsal-local"


@dataclass
class Product:
    """The stacks of one environment in one account."""

    cdk: Cdk

    @property
    def account(self) -> Account:
        """Where it is deployed."""
        return self.cdk.account

    @property
    def kubernetes(self) -> Cluster:
        """The control plane behind its cluster."""
        if self.account.kubernetes is None:
            raise AssertionError("kubernetes must be a version, got None; give the run one")
        return self.account.kubernetes

    @property
    def role_arn(self) -> str:
        """Role of `apps/reader`, as the service account names it."""
        found = self.kubernetes.get("serviceaccount", "reader", namespace="apps")
        return str(found["metadata"]["annotations"]["eks.amazonaws.com/role-arn"])

    @property
    def provider_arn(self) -> str:
        """IAM OIDC provider of the cluster."""
        issuer = self.account.issuer_url.removeprefix("https://")
        return f"arn:aws:iam::{self.role_arn.split(':')[4]}:oidc-provider/{issuer}"

    @property
    def provider(self) -> dict[str, Any]:
        """The provider as IAM shows it."""
        found: dict[str, Any] = self.account.client("iam").get_open_id_connect_provider(
            OpenIDConnectProviderArn=self.provider_arn
        )
        return found

    def token(self, name: str = "reader", *, namespace: str = "apps", **options: str) -> str:
        """Return a token that the API server signs."""
        return self.kubernetes.token(name, namespace=namespace, **options)

    def status(self, stack: str) -> str:
        """Return the status of a stack."""
        stacks = self.account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return str(stacks[0]["StackStatus"])
