"""The Lambda functions behind our custom resources, each with a role and a log group of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from irsa_stack.handler_code import files_of_others, handler_code_path

RUNTIME_NAME = "python3.14"


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """Settings that reach every function, role and log group that a construct makes.

    Args:
        log_retention: days that logs are kept. Default: one month.
        encryption_key: KMS key of the log groups and of the functions' environments; its key
            policy must let CloudWatch Logs use it. Default: keys owned by the services.
        permissions_boundary: ceiling on every role. Default: no boundary.
        role_path: path of every role, with slashes at both ends. Default: `/`.
    """

    log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH
    encryption_key: kms.IKey | None = None
    permissions_boundary: iam.IManagedPolicy | None = None
    role_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class FunctionNetwork:
    """Where a function runs when it must reach a private endpoint.

    Args:
        vpc: the cluster's VPC.
        subnets: subnets with a way to the EKS, STS and CloudFormation endpoints. Default: the
            private subnets.
        security_groups: groups that the cluster's endpoint lets in.
    """

    vpc: ec2.IVpc
    security_groups: Sequence[ec2.ISecurityGroup]
    subnets: ec2.SubnetSelection | None = None


class HandlerFunction(Construct):
    """Define the function of a custom resource, with least privilege.

    Synthesises one `AWS::Lambda::Function`, one `AWS::IAM::Role` that may write to its own log
    group and do what *statements* say, and one `AWS::Logs::LogGroup` that goes with the stack.

    Args:
        handler: module and function below `lambda/`, with dots.
        description: what the function does, for the console.
        timeout: longest run. CloudFormation's `service_timeout` must be longer.
        settings: see `FunctionSettings`. Default: its defaults.
        statements: what the function may do besides logging. Default: nothing.
        layers: layers under `/opt`. Default: none.
        architecture: `ARM_64` unless a layer holds x86 programs.
        memory_size: mebibytes. Default: 256.
        environment: variables of the function. Default: none.
        network: where it runs. Default: outside any VPC.
        role: a role handed in; it gets the right to write the logs and nothing else. Default: an
            own role.

    See:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        description: str,
        timeout: Duration,
        settings: FunctionSettings | None = None,
        statements: Sequence[iam.PolicyStatement] = (),
        layers: Sequence[lambda_.ILayerVersion] = (),
        architecture: lambda_.Architecture | None = None,
        memory_size: int = 256,
        environment: Mapping[str, str] | None = None,
        network: FunctionNetwork | None = None,
        role: iam.IRole | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        settings = settings or FunctionSettings()

        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=settings.log_retention,
            encryption_key=settings.encryption_key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role: iam.IRole = role or iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=description,
            path=settings.role_path,
            permissions_boundary=settings.permissions_boundary,
            inline_policies={
                "Handler": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[log_group.log_group_arn],
                        ),
                        *_network_statements(network),
                        *statements,
                    ]
                )
            },
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=lambda_.Runtime(RUNTIME_NAME, lambda_.RuntimeFamily.PYTHON),
            architecture=architecture or lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(
                str(handler_code_path()), exclude=files_of_others(handler)
            ),
            handler=handler,
            role=self.role,
            log_group=log_group,
            timeout=timeout,
            memory_size=memory_size,
            layers=list(layers),
            environment=dict(environment or {}),
            environment_encryption=settings.encryption_key,
            **_placement(network),
        )
        if role is not None:
            log_group.grant_write(role)
        self.service_token: str = self.function.function_arn
        """For `ServiceToken` of a custom resource."""


def _placement(network: FunctionNetwork | None) -> dict[str, Any]:
    if network is None:
        return {}
    return {
        "vpc": network.vpc,
        "vpc_subnets": network.subnets
        or ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
        "security_groups": list(network.security_groups),
    }


def _network_statements(network: FunctionNetwork | None) -> list[iam.PolicyStatement]:
    """What Lambda asks of the role of a function in a VPC; EC2 offers no resource level for it.

    See: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    """
    if network is None:
        return []
    return [
        iam.PolicyStatement(
            actions=[
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ],
            resources=["*"],
            conditions={
                "StringEquals": {"aws:RequestedRegion": Aws.REGION},
            },
        )
    ]
