"""An app that looks up all that it passes on: `tests/cdk/test_lookups.py` runs it."""

import aws_cdk as cdk
from aws_cdk import aws_ec2, aws_iam, aws_route53, aws_ssm

from irsa_stack import EksOidcProvider, ImportedCluster, IrsaRole
from irsa_stack.controllers import AwsLoadBalancerController, ExternalDns
from irsa_stack.iam.thumbprints import Thumbprints
from tests.support.clusters import service_accounts

app = cdk.App()
stack = cdk.Stack(app, "Looked", env=cdk.Environment(account="111122223333", region="eu-west-1"))


def parameter(name: str) -> str:
    """Look up a parameter of Systems Manager."""
    return aws_ssm.StringParameter.value_from_lookup(stack, f"/eks/{name}")


vpc = aws_ec2.Vpc.from_lookup(stack, "Vpc", vpc_name="orders")
zone = aws_route53.HostedZone.from_lookup(stack, "Zone", domain_name="example.com")
issuer_url = parameter("issuer")
cluster = ImportedCluster(
    name=parameter("name"),
    endpoint=parameter("endpoint"),
    certificate_authority_data=parameter("ca"),
    issuer_url=issuer_url,
    vpc=vpc,
    security_groups=[aws_ec2.SecurityGroup.from_lookup_by_name(stack, "Group", "cluster", vpc)],
)
provider = EksOidcProvider.from_issuer_url(stack, "LookedUp", issuer_url)
EksOidcProvider(
    stack,
    "Other",
    issuer_url=f"https://{parameter('other')}",
    thumbprints=Thumbprints.exact([parameter("thumbprint")]),
)
accounts = service_accounts(stack, cluster=cluster, oidc_provider=provider)
accounts.add_controller(AwsLoadBalancerController(vpc_id=vpc.vpc_id))
accounts.add_controller(ExternalDns(hosted_zones=[zone.hosted_zone_id]))
IrsaRole(
    stack,
    "Reader",
    oidc_provider=provider,
    service_accounts=[f"{parameter('namespace')}/reader"],
    role_name=parameter("role-name"),
    description=parameter("description"),
    permissions_boundary=aws_iam.ManagedPolicy.from_managed_policy_arn(
        stack, "Boundary", parameter("boundary")
    ),
)
app.synth()
