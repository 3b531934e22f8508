"""Roles by CDK, service accounts by Helm or GitOps: nothing is applied to the cluster."""

import json

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager

from irsa_stack import ClusterConnection, EksOidcProvider, IrsaServiceAccounts, Ownership

ISSUER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"

app = cdk.App()
stack = cdk.Stack(app, "GitopsRoles")

accounts = IrsaServiceAccounts(
    stack,
    "ServiceAccounts",
    cluster=ClusterConnection.from_attributes(
        cluster_name="orders-prod",
        endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
        certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        kubernetes_version="1.36",
    ),
    oidc_provider=EksOidcProvider.from_issuer_url(stack, "OidcProvider", ISSUER_URL),
)
external_secrets = accounts.add(
    "ExternalSecrets",
    namespace="external-secrets",
    name="external-secrets",
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
