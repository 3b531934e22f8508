"""Review on every synth: trust policies, and cdk-nag with a reason for each finding that stays.

See: https://github.com/cdklabs/cdk-nag/blob/main/RULES.md
"""

from collections.abc import Iterable, Iterator

from aws_cdk import Acknowledgment, App, Stack, Validations

from irsa_stack.cdk.trust_review_plugin import TrustReview
from irsa_stack.environment.environment import Environment
from irsa_stack.faults import InvalidInput

_MANAGED_POLICIES = {
    "AmazonEKSClusterPolicy": (
        "EKS requires this policy of every cluster role and keeps it current; only the EKS service"
        " can assume the role"
    ),
    "AmazonEKSWorkerNodePolicy": (
        "nodes need it to join the cluster; it only describes, and pods cannot reach the role"
    ),
    "AmazonEC2ContainerRegistryPullOnly": (
        "nodes need it to pull images; it allows pulling only, and pods cannot reach the role"
    ),
    "AmazonSSMManagedInstanceCore": (
        "replaces SSH for the operators of the nodes; pods cannot reach the role"
    ),
    "AmazonEKS_CNI_Policy": (
        "AWS adds the actions that new releases of the VPC CNI need; only kube-system/aws-node can"
        " assume the role, and no node has it"
    ),
}


def review(app: App) -> None:
    """Let cdk-nag and our own rules judge what *app* synthesises.

    A finding without a reason fails the synth.

    Raises:
        InvalidInput: cdk-nag is not installed.
    """
    try:
        from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415 (nothing else needs it)
    except ModuleNotFoundError:
        raise InvalidInput(
            ["cdk-nag must be installed for the review, got none; pip install 'irsa-stack[app]'"]
        ) from None
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), TrustReview())


def review_faults(settings: Environment) -> Iterator[str]:
    """Say where cdk-nag will ask for a reason that the environment file does not give."""
    for position, account in enumerate(settings.service_accounts):
        if account.review_note is not None:
            continue
        aws = [arn for arn in account.managed_policies if ":iam::aws:policy/" in arn]
        wild = [
            value
            for statement in account.statements
            for value in (*statement.actions, *statement.resources)
            if "*" in value
        ]
        for what, found, finding in (
            ("AWS's own policies", aws, "IAM4"),
            ("wildcards", wild, "IAM5"),
        ):
            if found:
                yield (
                    f"service_accounts[{position}].review_note must be given with {what}, got none"
                    f" for {', '.join(dict.fromkeys(found))}; say in it why they are right, or"
                    f" name what {account.identity} needs (cdk-nag: AwsSolutions-{finding})"
                )


def acknowledge(stack: Stack, settings: Environment) -> None:
    """Say why the findings on *stack* stay.

    Those on applications' roles stay only with the `review_note` that the environment file gives.
    """
    for name, reason in _MANAGED_POLICIES.items():
        for partition in ("<AWS::Partition>", "aws", "aws-cn", "aws-us-gov"):
            _acknowledge(stack, f"IAM4[Policy::arn:{partition}:iam::aws:policy/{name}]", reason)
    for account in settings.service_accounts:
        if account.review_note is None:
            continue
        for policy in account.managed_policies:
            _acknowledge(stack, f"IAM4[Policy::{policy}]", account.review_note)
        for statement in account.statements:
            for finding in (
                *_wildcards("Action", statement.actions),
                *_wildcards("Resource", statement.resources),
            ):
                _acknowledge(stack, f"IAM5[{finding}]", account.review_note)


def _wildcards(kind: str, values: Iterable[str]) -> Iterator[str]:
    return (f"{kind}::{value}" for value in values if "*" in value)


def _acknowledge(stack: Stack, finding: str, reason: str) -> None:
    Validations.of(stack).acknowledge(
        Acknowledgment(id=f"AwsSolutions::AwsSolutions-{finding}", reason=reason)
    )
