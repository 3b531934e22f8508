"""One role for the same service account of a blue and a green cluster."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb

from irsa_stack import EksOidcProvider, IrsaRole, Trust

ISSUER_URLS = {
    "Blue": "https://oidc.eks.eu-west-1.amazonaws.com/id/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Green": "https://oidc.eks.eu-west-1.amazonaws.com/id/BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
}

app = cdk.App()
stack = cdk.Stack(app, "CheckoutRole")

role = IrsaRole(
    stack,
    "Checkout",
    trusts=[
        Trust(
            oidc_provider=EksOidcProvider.from_issuer_url(stack, f"{colour}Provider", issuer_url),
            service_accounts=["shop/checkout"],
        )
        for colour, issuer_url in ISSUER_URLS.items()
    ],
)
dynamodb.TableV2(
    stack,
    "Carts",
    partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
).grant_read_write_data(role)

cdk.CfnOutput(stack, "RoleArn", value=role.role_arn)

app.synth()
