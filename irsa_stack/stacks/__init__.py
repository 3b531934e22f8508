"""The compositions that `app.py` deploys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Annotations, App

from irsa_stack.environment.environment import Environment
from irsa_stack.stacks.cluster import EksClusterStack
from irsa_stack.stacks.review import review
from irsa_stack.stacks.service_accounts import (
    ServiceAccountsStack,
    part_before,
    service_account_parts,
)
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
    parts = service_account_parts(settings)
    defined: list[ServiceAccountsStack] = []
    for part in range(parts):
        stack = ServiceAccountsStack(
            app,
            # The first keeps its name when others join it.
            f"{name}-service-accounts" + (f"-{part}" if part else ""),
            settings=settings,
            cluster=cluster,
            part=part,
            parts=parts,
            files=files,
            description=f"Roles of the service accounts of EKS cluster {settings.cluster_name}",
        )
        before = part_before(part)
        if before is not None:
            stack.add_dependency(defined[before])
        defined.append(stack)
    if parts > 1 and settings.service_account_stacks is None:
        Annotations.of(defined[0]).add_warning_v2(
            "irsa-stack:serviceAccountStacks",
            f"{len(settings.service_accounts)} service accounts take {parts} stacks. Write"
            f" 'service_account_stacks: {parts}' into the environment file, or a larger number: at"
            f" the next doubling half of the accounts move, and lose their roles meanwhile",
        )
