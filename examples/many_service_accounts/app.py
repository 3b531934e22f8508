"""Hundreds of service accounts in one stack, bound by a few custom resources."""

import aws_cdk as cdk

from irsa_stack import ImportedCluster, ServiceAccounts

TEAMS = [f"team-{number:02}" for number in range(20)]
SERVICES = [f"service-{number:02}" for number in range(15)]

app = cdk.App()
stack = cdk.Stack(app, "TeamsServiceAccounts")

cluster = ImportedCluster(
    name="orders-prod",
    endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
    certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    kubernetes_version="1.36",
    issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster)
for team in TEAMS:
    for service in SERVICES:
        accounts.add(
            f"{team}/{service}",
            inline_policies={
                "OwnPrefix": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["s3:GetObject", "s3:PutObject"],
                            "Resource": f"arn:aws:s3:::teams-data/{team}/{service}/*",
                        }
                    ],
                }
            },
        )

app.synth()
