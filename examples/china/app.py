"""A service account in the China partition."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from irsa_stack import ClusterConnection, EksOidcProvider, IrsaServiceAccounts

ISSUER_URL = "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF0123456789ABCDEF"

app = cdk.App()
stack = cdk.Stack(app, "China", env=cdk.Environment(account="111122223333", region="cn-north-1"))

accounts = IrsaServiceAccounts(
    stack,
    "ServiceAccounts",
    cluster=ClusterConnection.from_attributes(
        cluster_name="payments-cn",
        endpoint="https://0123456789ABCDEF0123456789ABCDEF.yl4.cn-north-1.eks.amazonaws.com.cn",
        certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        kubernetes_version="1.36",
    ),
    oidc_provider=EksOidcProvider(stack, "OidcProvider", issuer_url=ISSUER_URL),
)
api = accounts.add("Api", namespace="payments", name="api")
s3.Bucket(stack, "Receipts", block_public_access=s3.BlockPublicAccess.BLOCK_ALL).grant_read(api)

app.synth()
