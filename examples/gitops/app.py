"""Roles by CDK, service accounts by Helm or GitOps: nothing is applied to the cluster."""

import json

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager

from irsa_stack import ImportedCluster, Ownership, ServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "GitopsRoles")

cluster = ImportedCluster(
    name="orders-prod",
    endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
    certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    kubernetes_version="1.36",
    issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster)
external_secrets = accounts.add(
    "external-secrets/external-secrets",
    ownership=Ownership.HELM,
)
secretsmanager.Secret(stack, "Database").grant_read(external_secrets)

cdk.CfnOutput(
    stack,
    "ExternalSecretsValues",
    value=json.dumps(external_secrets.helm_values),
    description="Values of the chart",
)

app.synth()
