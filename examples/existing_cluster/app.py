"""Service accounts on a cluster that eksctl, Terraform or the console made."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs

from irsa_stack import ImportedCluster, Ownership, ServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "OrdersServiceAccounts")

# `aws eks describe-cluster --name orders-prod` prints these.
cluster = ImportedCluster(
    name="orders-prod",
    endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
    certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    kubernetes_version="1.36",
    issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster)

queue = sqs.Queue(stack, "Orders", enforce_ssl=True)
worker = accounts.add("orders/worker", restart=["deployment/worker"])
queue.grant_consume_messages(worker)

# A chart made this account: we add our annotations to it, and removing us removes only those.
shop = accounts.add("shop/shop", ownership=Ownership.ADOPT)
queue.grant_send_messages(shop)

app.synth()
