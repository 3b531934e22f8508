"""Hundreds of service accounts in one stack, bound by a few custom resources."""

import aws_cdk as cdk

from irsa_stack import ClusterConnection, EksOidcProvider, IrsaServiceAccounts

ISSUER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
TEAMS = [f"team-{number:02}" for number in range(20)]
SERVICES = [f"service-{number:02}" for number in range(15)]

app = cdk.App()
stack = cdk.Stack(app, "TeamsServiceAccounts")

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
for team in TEAMS:
    for service in SERVICES:
        accounts.add(
            f"{team}-{service}",
            namespace=team,
            name=service,
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
