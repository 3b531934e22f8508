"""The VPC of a cluster: made here, or taken as it is."""

from typing import Any

from aws_cdk import RemovalPolicy, Tags
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
        return ec2.Vpc.from_vpc_attributes(
            scope,
            id,
            vpc_id=settings.id,
            availability_zones=settings.zones,
            private_subnet_ids=settings.private_subnets,
            public_subnet_ids=settings.public_subnets or None,
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
