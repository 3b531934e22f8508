"""The service accounts of a cluster that another tool made, known at synth or at deploy only."""

from aws_cdk import CfnParameter, Stack

from irsa_stack import EksOidcProvider, ImportedCluster, ServiceAccounts
from tests.support.trust_resolver import COMMERCIAL, Place

NAME = "payments-prod"
VPC_ID = "vpc-0123456789abcdef0"


def parameters(place: Place = COMMERCIAL) -> dict[str, str]:
    """What a deploy in *place* gives for the parameters of `deploy_time=True`."""
    return {"IssuerUrl": f"https://{place.issuer}", "ClusterName": NAME, "VpcId": VPC_ID}


def service_accounts(
    stack: Stack, *, deploy_time: bool = False, place: Place = COMMERCIAL
) -> ServiceAccounts:
    """Define them, with the issuer and the cluster's name as literals or as parameters."""
    known = parameters(place)
    if deploy_time:
        known = {name: CfnParameter(stack, name).value_as_string for name in known}
    return ServiceAccounts(
        stack,
        "ServiceAccounts",
        cluster=ImportedCluster(
            name=known["ClusterName"],
            endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
            certificate_authority_data="LS0tLS1CRUdJTi==",
            issuer_url=known["IssuerUrl"],
        ),
        oidc_provider=EksOidcProvider(stack, "OidcProvider", issuer_url=known["IssuerUrl"]),
    )


def vpc_id(stack: Stack) -> str:
    """The VPC's id: the parameter of `deploy_time=True`, or the literal."""
    parameter = stack.node.try_find_child("VpcId")
    return parameter.value_as_string if isinstance(parameter, CfnParameter) else VPC_ID
