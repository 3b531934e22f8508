"""Service principals, whose names depend on the partition."""

from collections.abc import Iterator
from typing import Any

from rehearsal.refusals.change import Change, Refusal
from rehearsal.refusals.intrinsics import references

_LOGS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
_NODES = "https://github.com/aws/aws-cdk/issues/24696"


def foreign(change: Change) -> Iterator[Refusal]:
    """Refuse a key policy that names CloudWatch Logs of another partition."""
    for logical_id, properties in change.of_type("AWS::KMS::Key"):
        for principal in _services(change.resolved(properties.get("KeyPolicy"))):
            if (
                principal.startswith("logs.")
                and principal != f"logs.{change.place.region}.{change.place.url_suffix}"
            ):
                yield Refusal(
                    resource=logical_id,
                    message="Policy contains a statement with one or more invalid principals."
                    f" ({principal})",
                    source=_LOGS,
                )


def node_roles(change: Change) -> Iterator[Refusal]:
    """Refuse a node role that not every name of EC2 in the partition can assume."""
    wanted = {"ec2.amazonaws.com", f"ec2.{change.place.url_suffix}"}
    for logical_id, properties in change.made("AWS::EKS::Nodegroup"):
        for role, _ in references(properties.get("NodeRole")):
            trust = change.resources[role]["Properties"]["AssumeRolePolicyDocument"]
            missing = sorted(wanted - set(_services(change.resolved(trust))))
            if missing:
                yield Refusal(
                    resource=logical_id,
                    message=f"Following required service principals [{', '.join(missing)}] were not"
                    " found in the trust relationships of nodeRole",
                    source=_NODES,
                )


def _services(document: Any) -> Iterator[str]:
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        yield from [services] if isinstance(services, str) else services
