"""Service accounts on a cluster that eksctl, Terraform or the console made."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs

from irsa_stack import ClusterConnection, EksOidcProvider, IrsaServiceAccounts, Ownership

# `aws eks describe-cluster --name orders-prod` prints these.
ISSUER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"

app = cdk.App()
stack = cdk.Stack(app, "OrdersServiceAccounts")

accounts = IrsaServiceAccounts(
    stack,
    "ServiceAccounts",
    cluster=ClusterConnection.from_attributes(
        cluster_name="orders-prod",
        endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
        certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        kubernetes_version="1.36",
    ),
    # If IAM has no provider for the issuer yet: EksOidcProvider(stack, ..., issuer_url=ISSUER_URL)
    oidc_provider=EksOidcProvider.from_issuer_url(stack, "OidcProvider", ISSUER_URL),
)

queue = sqs.Queue(stack, "Orders", enforce_ssl=True)
worker = accounts.add("Worker", namespace="orders", name="worker", restart=["deployment/worker"])
queue.grant_consume_messages(worker)

# A chart made this account: we add our annotations to it, and removing us removes only those.
shop = accounts.add("Shop", namespace="shop", name="shop", ownership=Ownership.ADOPT)
queue.grant_send_messages(shop)

app.synth()
