"""The compositions that `app.py` deploys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Annotations, App, Stack

from irsa_stack.environment.environment import Environment
from irsa_stack.environment.service_accounts import ServiceAccountSettings
from irsa_stack.iam.aws_managed_policies import unknown_policy
from irsa_stack.iam.quotas import MANAGED_POLICIES
from irsa_stack.iam.service_reference import unknown_services
from irsa_stack.stacks.cluster import EksClusterStack
from irsa_stack.stacks.review import review
from irsa_stack.stacks.service_accounts import ServiceAccountsStack, refuse_crowded_stacks
from irsa_stack.stacks.settings import checked

__all__ = ["EksClusterStack", "Environment", "ServiceAccountsStack", "define_stacks", "review"]


def define_stacks(
    app: App, settings: Environment | Mapping[str, Any], *, files: Path | None = None
) -> None:
    """Define the stacks of an environment: the cluster if it is new, then its service accounts.

    Args:
        app: the CDK app.
        settings: what to define, as `Environment` or as what its file holds.
        files: folder that files named in *settings* are relative to. Default: the current one.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.
    """
    settings = checked(settings)
    refuse_crowded_stacks(settings)
    name = f"{settings.service_type}-{settings.environment}"
    cluster = None
    if settings.cluster.new is not None:
        cluster = EksClusterStack(
            app,
            f"{name}-cluster",
            settings=settings,
            files=files,
            description=f"EKS cluster {settings.cluster_name} with IAM roles for service accounts",
        )
    first: ServiceAccountsStack | None = None
    for part in range(settings.service_account_stacks):
        stack = ServiceAccountsStack(
            app,
            # The first keeps its name when others join it.
            f"{name}-service-accounts" + (f"-{part}" if part else ""),
            settings=settings,
            cluster=cluster,
            part=part,
            parts=settings.service_account_stacks,
            files=files,
            description=f"Roles of the service accounts of EKS cluster {settings.cluster_name}",
        )
        if first is None:
            first = stack
            for account in settings.service_accounts:
                _warn_of_what_is_unknown(first, account)
        else:
            # What leaves the first stack for another must be removed before it is made anew.
            stack.add_stack_dependency(first)


def _warn_of_what_is_unknown(stack: Stack, account: ServiceAccountSettings) -> None:
    """Say what the data of AWS's services and policies lack, which grow every week."""
    actions = [action for statement in account.statements for action in statement.actions]
    many = len(account.managed_policies)
    for number, warning in enumerate(
        [
            *(
                [f"managed_policies are {many}; IAM's quota is 10 unless it is raised"]
                if many > MANAGED_POLICIES
                else []
            ),
            *unknown_services(actions),
            *(found for arn in account.managed_policies for found in unknown_policy(arn)),
        ]
    ):
        Annotations.of(stack).add_warning_v2(
            f"irsa-stack:unknown:{account.identity}:{number}",
            f"service account {account.identity}: {warning}",
        )
