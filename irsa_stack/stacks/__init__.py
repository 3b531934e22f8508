"""The compositions that `app.py` deploys."""

from pathlib import Path

from aws_cdk import App

from irsa_stack.config import Environment
from irsa_stack.stacks.cluster import EksClusterStack
from irsa_stack.stacks.review import review
from irsa_stack.stacks.service_accounts import ServiceAccountsStack, service_account_parts

__all__ = ["EksClusterStack", "ServiceAccountsStack", "define_stacks", "review"]


def define_stacks(app: App, settings: Environment, *, files: Path | None = None) -> None:
    """Define the stacks of an environment: the cluster if it is new, then its service accounts.

    Args:
        app: the CDK app.
        settings: what to define.
        files: folder that files named in *settings* are relative to. Default: the current one.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.
    """
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
    for part in range(parts):
        ServiceAccountsStack(
            app,
            f"{name}-service-accounts" + (f"-{part}" if parts > 1 else ""),
            settings=settings,
            cluster=cluster,
            part=part,
            parts=parts,
            files=files,
            description=f"Roles of the service accounts of EKS cluster {settings.cluster_name}",
        )
