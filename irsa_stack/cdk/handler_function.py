"""The Lambda functions behind our custom resources, each with a role and a log group of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import Acknowledgment, Aws, Duration, RemovalPolicy, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_s3_assets import Asset
from constructs import Construct, IDependable

from irsa_stack.cdk.role_options import RoleDefaults
from irsa_stack.faults import InvalidInput
from irsa_stack.handler_code import files_of_others, handler_code_path

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

RUNTIME_NAME = "python3.14"


@dataclass(frozen=True, kw_only=True)
class FunctionOptions:
    """Say what every function has that a construct makes, and its log group.

    Args:
        log_retention: days that logs are kept. Default: one month.
        encryption_key: KMS key of the log groups and of the functions' environments; its key
            policy must let CloudWatch Logs use it. Default: keys owned by the services.
    """

    log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH
    encryption_key: "kms.IKey | None" = None


@dataclass(frozen=True, kw_only=True)
class FunctionNetwork:
    """Where a function runs when it must reach a private endpoint.

    Args:
        vpc: the cluster's VPC.
        subnets: subnets with a way to the EKS, STS and CloudFormation endpoints. Default: the
            private subnets, or the isolated ones where there are no others.
        security_groups: groups that the cluster's endpoint lets in. Default: one is made for each
            function, which the cluster must let in.
    """

    vpc: ec2.IVpc
    security_groups: Sequence[ec2.ISecurityGroup] = ()
    subnets: ec2.SubnetSelection | None = None


class HandlerFunction(Construct):
    """Define the function of a custom resource, with least privilege.

    Synthesises one `AWS::Lambda::Function`, one `AWS::IAM::Role` that may write to its own log
    group and do what *statements* say, one `AWS::Logs::LogGroup` that goes with the stack, and one
    `AWS::Lambda::EventInvokeConfig`. An event that waited too long is dropped, and one that a crash
    ended is not tried again, because CloudFormation may have rolled back meanwhile.

    Args:
        handler: module and function below `lambda/`, with dots.
        description: what the function does, for the console.
        timeout: longest run, seconds.
        service_timeout: how long CloudFormation waits for an answer; at least a minute more than
            *timeout*, because Lambda keeps an event no shorter.
        functions: see `FunctionOptions`. Default: its defaults.
        roles: see `RoleDefaults`. Default: its defaults.
        statements: what the function may do besides logging, as IAM has it. Default: nothing.
        layers: layers under `/opt`. Default: none.
        architecture: `arm64`, or `x86_64` when a layer holds x86 programs. Default: `arm64`.
        memory_size: mebibytes. Default: 256.
        environment: variables of the function. Default: none.
        network: where it runs. Default: outside any VPC.
        role: a role handed in; it gets the rights to write the logs and to run in *network*, and no
            other. Default: an own role.

    Raises:
        InvalidInput: *network* has no private subnets.

    See:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        handler: str,
        description: str,
        timeout: int,
        service_timeout: Duration,
        functions: FunctionOptions | None = None,
        roles: RoleDefaults | None = None,
        statements: Sequence[Mapping[str, Any]] = (),
        layers: Sequence[lambda_.ILayerVersion] = (),
        architecture: str = "arm64",
        memory_size: int = 256,
        environment: Mapping[str, str] | None = None,
        network: FunctionNetwork | None = None,
        role: iam.IRole | None = None,
    ) -> None:
        super().__init__(scope, id)
        functions, roles = functions or FunctionOptions(), roles or RoleDefaults()
        self.functions, self.roles = functions, roles
        """What it was defined with."""

        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=functions.log_retention,
            encryption_key=functions.encryption_key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role_arn: str
        """ARN of the role that the function runs as."""
        self.role_name: str
        """Name of that role."""
        self.statements: list[Mapping[str, Any]] = []
        """What its own role may do, inline, in one policy or another."""
        if role is None:
            self.statements = [
                _logging(log_group.log_group_arn),
                *statements,
            ]
            own_role = _define_role(self, description, self.statements, roles)
            self.role_arn, self.role_name = own_role.attr_arn, own_role.ref
        else:
            log_group.grant_write(role)
            self.role_arn, self.role_name = role.role_arn, role.role_name
        code = Asset(self, "Code", path=str(handler_code_path()), exclude=files_of_others(handler))
        # Not `lambda_.Function`: for its many features it alone costs 65 ms a synth.
        function = lambda_.CfnFunction(
            self,
            "Function",
            description=description,
            runtime=RUNTIME_NAME,
            architectures=[architecture],
            code={"s3Bucket": code.s3_bucket_name, "s3Key": code.s3_object_key},
            handler=handler,
            role=self.role_arn,
            logging_config={"logGroup": log_group.log_group_name},
            timeout=timeout,
            memory_size=memory_size,
            layers=[layer.layer_version_arn for layer in layers] or None,
            environment={"variables": dict(environment)} if environment else None,
            kms_key_arn=functions.encryption_key and functions.encryption_key.key_arn,
        )
        # Younger than this an event still ends within `service_timeout`.
        # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        events = lambda_.CfnEventInvokeConfig(
            self,
            "Events",
            function_name=function.ref,
            qualifier="$LATEST",
            maximum_event_age_in_seconds=int(service_timeout.to_seconds()) - timeout,
            maximum_retry_attempts=0,
        )
        if role is not None:
            function.node.add_dependency(role)
        if network is not None:
            statement = _network_statement()
            function.node.add_dependency(_network_policy(self, statement, self.role_name, role))
            self.statements.append(statement)
            _place(function, network)
        self.ready: IDependable = events
        """What a custom resource waits for before its first event."""
        self.service_token: str = function.attr_arn
        """For `ServiceToken` of a custom resource."""


def _define_role(
    scope: Construct,
    description: str,
    statements: Sequence[Mapping[str, Any]],
    roles: RoleDefaults,
) -> iam.CfnRole:
    boundary = roles.permissions_boundary
    return iam.CfnRole(
        scope,
        "Role",
        assume_role_policy_document={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        },
        description=description,
        path=roles.path,
        permissions_boundary=boundary and boundary.managed_policy_arn,
        policies=[
            {
                "policyName": "Handler",
                "policyDocument": {"Version": "2012-10-17", "Statement": list(statements)},
            }
        ],
    )


def _place(function: lambda_.CfnFunction, network: FunctionNetwork) -> None:
    subnets = network.subnets or _private_subnets(network.vpc)
    selected = network.vpc.select_subnets(
        availability_zones=subnets.availability_zones,
        one_per_az=subnets.one_per_az,
        subnet_filters=subnets.subnet_filters,
        subnet_group_name=subnets.subnet_group_name,
        subnets=subnets.subnets,
        subnet_type=subnets.subnet_type,
    )
    if selected.has_public:
        raise InvalidInput(
            [
                "subnets must be private, got a public one; a function gets no public address, and"
                " would reach neither EKS nor CloudFormation"
            ]
        )
    groups = network.security_groups or [
        ec2.SecurityGroup(
            function,
            "SecurityGroup",
            vpc=network.vpc,
            description=f"To the cluster: {function.description}",
        )
    ]
    function.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
        subnet_ids=selected.subnet_ids,
        security_group_ids=[group.security_group_id for group in groups],
    )
    # Called before the NAT gateway has its route, it would reach neither of them.
    function.node.add_dependency(selected.internet_connectivity_established)


def _private_subnets(vpc: ec2.IVpc) -> ec2.SubnetSelection:
    if vpc.private_subnets:
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
    if not vpc.isolated_subnets:
        raise InvalidInput(
            [
                "vpc must have private subnets for the functions, got none; add some, or pass"
                " ImportedCluster(subnets=...)"
            ]
        )
    return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


def _network_statement() -> dict[str, Any]:
    """Return what Lambda asks of the role of a function in a VPC.

    See: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    """
    return {
        "Effect": "Allow",
        "Action": [
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": Aws.REGION}},
    }


def _network_policy(
    scope: Construct, statement: Mapping[str, Any], role_name: str, role: iam.IRole | None
) -> Construct:
    """Define a policy of its own for *statement*.

    CloudFormation deletes it after the function has left the VPC. With the role's other statements
    it would go before, and Lambda could not delete the network interfaces.
    """
    policy: Construct
    if role is None:
        policy = iam.CfnRolePolicy(
            scope,
            "Network",
            role_name=role_name,
            policy_name="Network",
            policy_document={"Version": "2012-10-17", "Statement": [statement]},
        )
    else:
        policy = iam.Policy(
            scope, "Network", roles=[role], statements=[iam.PolicyStatement.from_json(statement)]
        )
    Validations.of(policy).acknowledge(
        Acknowledgment(
            id="AwsSolutions::AwsSolutions-IAM5[Resource::*]",
            reason="Lambda asks this of the role of a function in a VPC, and EC2 has no resources"
            " for it",
        )
    )
    return policy


def _logging(log_group_arn: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": log_group_arn,
    }
