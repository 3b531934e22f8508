"""A new cluster and one service account that may read one bucket."""

import aws_cdk as cdk
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_s3 as s3

from irsa_stack import EksOidcProvider, IrsaServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "IrsaMinimal")

cluster = eks.Cluster(stack, "Cluster", version=eks.KubernetesVersion.V1_36)
provider = EksOidcProvider(
    stack, "OidcProvider", issuer_url=cluster.cluster_open_id_connect_issuer_url
)
accounts = IrsaServiceAccounts(
    stack,
    "ServiceAccounts",
    cluster=cluster,
    oidc_provider=provider,
    kubernetes_version="1.36",
)

api = accounts.add("Api", namespace="default", name="api")
s3.Bucket(stack, "Receipts", block_public_access=s3.BlockPublicAccess.BLOCK_ALL).grant_read(api)

cdk.CfnOutput(stack, "RoleArn", value=api.role_arn)

app.synth()
