"""The VPC of a cluster: made here, or taken as it is."""

from typing import Any

from aws_cdk import Annotations, RemovalPolicy, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from irsa_stack.cdk.handler_function import FunctionOptions
from irsa_stack.environment.vpc import VpcSettings

ZONES_AT_MOST = 6


def define_vpc(
    scope: Construct,
    id: str,
    settings: VpcSettings,
    *,
    functions: FunctionOptions,
    role_path: str | None,
) -> ec2.IVpc:
    """Define the VPC, or import it.

    A new one has a public subnet (load balancers) and a private one (nodes) in each zone, with the
    tags by which the load-balancer controller finds them.
    """
    if settings.id is not None:
        return import_vpc(
            scope,
            id,
            vpc_id=settings.id,
            zones=settings.zones,
            private_subnets=settings.private_subnets,
            public_subnets=settings.public_subnets,
        )
    zones: dict[str, Any] = (
        {"availability_zones": settings.zones}
        if settings.zones
        else {"max_azs": settings.availability_zones}
    )
    vpc = ec2.Vpc(
        scope,
        id,
        ip_addresses=ec2.IpAddresses.cidr(str(settings.cidr)),
        **zones,
        # So that another zone later renumbers no subnet: EC2 takes no overlapping ones meanwhile.
        reserved_azs=ZONES_AT_MOST - (len(settings.zones) or settings.availability_zones),
        nat_gateways=settings.nat_gateways,
        # Emptying the default group takes one more function whose role may change security groups;
        # nothing here uses that group.
        restrict_default_security_group=False,
    )
    # The cluster tags only the subnets of its control plane.
    # https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/subnet_discovery/
    for subnets, role in ((vpc.public_subnets, "elb"), (vpc.private_subnets, "internal-elb")):
        for subnet in subnets:
            Tags.of(subnet).add(f"kubernetes.io/role/{role}", "1")
    log_group = logs.LogGroup(
        vpc,
        "FlowLogs",
        retention=functions.log_retention,
        encryption_key=functions.encryption_key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    vpc.add_flow_log(
        "FlowLog",
        destination=ec2.FlowLogDestination.to_cloud_watch_logs(
            log_group,
            iam.Role(
                vpc,
                "FlowLogRole",
                assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"),
                path=role_path,
            ),
        ),
        traffic_type=ec2.FlowLogTrafficType.REJECT,
    )
    return vpc


def import_vpc(
    scope: Construct,
    id: str,
    *,
    vpc_id: str,
    zones: list[str],
    private_subnets: list[str],
    public_subnets: list[str],
) -> ec2.IVpc:
    """Import a VPC; what the CDK warns of subnet by subnet is said once, or concerns nobody."""
    vpc = ec2.Vpc.from_vpc_attributes(
        scope,
        id,
        vpc_id=vpc_id,
        availability_zones=zones,
        private_subnet_ids=private_subnets,
        public_subnet_ids=public_subnets or None,
    )
    for subnet in (*vpc.private_subnets, *vpc.public_subnets):
        Annotations.of(subnet).acknowledge_warning(
            "@aws-cdk/aws-ec2:noSubnetRouteTableId", "nothing here adds a route"
        )
    return vpc
