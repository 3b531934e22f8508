"""A service account whose role lives in another AWS account."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from irsa_stack import EksOidcProvider, ImportedCluster, IrsaRole, ServiceAccounts

CLUSTER_ACCOUNT = cdk.Environment(account="111122223333", region="eu-west-1")
DATA_ACCOUNT = cdk.Environment(account="444455556666", region="eu-west-1")
ISSUER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"

app = cdk.App()

# The provider must be in the role's account: the data account registers the cluster's issuer too.
data = cdk.Stack(app, "Data", env=DATA_ACCOUNT)
role = IrsaRole(
    data,
    "Reader",
    oidc_provider=EksOidcProvider(data, "OidcProvider", issuer_url=ISSUER_URL),
    service_accounts=["reports/reader"],
    role_name="reports-reader",
)
s3.Bucket(data, "Reports", block_public_access=s3.BlockPublicAccess.BLOCK_ALL).grant_read(role)

reports = cdk.Stack(app, "Reports", env=CLUSTER_ACCOUNT)
accounts = ServiceAccounts(
    reports,
    "ServiceAccounts",
    cluster=ImportedCluster(
        name="orders-prod",
        endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
        certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        kubernetes_version="1.36",
        issuer_url=ISSUER_URL,
    ),
)
accounts.add(
    "reports/reader",
    role_arn=f"arn:aws:iam::{DATA_ACCOUNT.account}:role/reports-reader",
)
reports.add_stack_dependency(data)

app.synth()
