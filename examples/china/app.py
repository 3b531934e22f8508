"""A service account in the China partition."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from irsa_stack import EksOidcProvider, ImportedCluster, ServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "China", env=cdk.Environment(account="111122223333", region="cn-north-1"))

cluster = ImportedCluster(
    name="payments-cn",
    endpoint="https://0123456789ABCDEF0123456789ABCDEF.yl4.cn-north-1.eks.amazonaws.com.cn",
    certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    issuer_url="https://oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF0123456789ABCDEF",
    kubernetes_version="1.36",
)
# The tool that made this cluster made no OIDC provider for it.
provider = EksOidcProvider(stack, "OidcProvider", issuer_url=cluster.issuer_url)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster, oidc_provider=provider)
api = accounts.add("payments/api")
s3.Bucket(stack, "Receipts", block_public_access=s3.BlockPublicAccess.BLOCK_ALL).grant_read(api)

app.synth()
