"""What every stack of an environment has in common: place, tags, boundary, log retention."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Environment as Place
from aws_cdk import Stack, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from irsa_stack.cdk.handler_function import FunctionOptions
from irsa_stack.environment.environment import Environment
from irsa_stack.environment.environment_file import environment

_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
# The CDK's word for the stack itself, whose tags CloudFormation puts on the node groups too.
_FIXED_TAGS_ONLY = ["AWS::EKS::Nodegroup", "aws:cdk:stack"]


def checked(settings: Environment | Mapping[str, Any]) -> Environment:
    """Return *settings* as they are, or what an environment file holds as settings.

    Raises:
        InvalidInput: they break rules; all faults are listed.
    """
    return settings if isinstance(settings, Environment) else environment(settings)


def stack_arguments(settings: Environment) -> dict[str, Any]:
    """Return where a stack goes, and the tags that CloudFormation puts on all of it.

    Only those that never change: see `apply_settings`.
    """
    place = (
        {}
        if settings.account is None
        else {"env": Place(account=settings.account, region=settings.region)}
    )
    return {**place, "tags": fixed_tags(settings)}


def apply_settings(stack: Stack, settings: Environment) -> None:
    """Reach every resource of *stack*, those of the CDK's own helpers too.

    A node group has only the tags that never change, because its launch template has all of them
    for the instances: EKS refuses to take new tags and a new version of the template in one update.

    See: https://github.com/aws/aws-cdk/issues/16644
    """
    fixed = fixed_tags(settings)
    for key, value in all_tags(settings).items():
        Tags.of(stack).add(
            key, value, exclude_resource_types=[] if key in fixed else _FIXED_TAGS_ONLY
        )
    if settings.permissions_boundary is not None:
        iam.PermissionsBoundary.of(stack).apply(
            iam.ManagedPolicy.from_managed_policy_arn(
                stack, "PermissionsBoundary", settings.permissions_boundary
            )
        )


def all_tags(settings: Environment) -> dict[str, str]:
    """Return the tags of every resource: ServiceType, Environment, and the user's."""
    return {**fixed_tags(settings), **settings.tags}


def fixed_tags(settings: Environment) -> dict[str, str]:
    """Return the tags that a deployed environment keeps: they are its stacks' names."""
    return {"ServiceType": settings.service_type, "Environment": settings.environment}


def function_options(
    scope: Construct, settings: Environment, *, default_key: kms.IKey | None
) -> FunctionOptions:
    """Return what reaches every function and log group of the environment."""
    key = default_key
    if settings.log_encryption_key is not None:
        key = kms.Key.from_key_arn(scope, "LogKey", settings.log_encryption_key)
    return FunctionOptions(
        log_retention=log_retention(settings),
        encryption_key=key,
    )


def log_retention(settings: Environment) -> logs.RetentionDays:
    """Return how long logs are kept."""
    return _RETENTION[settings.log_retention_days]
