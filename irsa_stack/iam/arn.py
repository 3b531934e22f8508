"""Amazon resource names of IAM, checked as far as a literal allows."""

import re
from collections.abc import Iterator

from irsa_stack.cloudformation.deploy_time import is_deploy_time

PARTITIONS = (
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
)
"""See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""

_REGIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""First letters of a region's name, and its partition; all others are in `aws`."""

_ACCOUNT = re.compile(r"\d{12}")
_IAM_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)


def arn_faults(
    arn: object, kind: str, *, of: str, partition: str | None = None, account: str | None = None
) -> Iterator[str]:
    """Say what makes *arn* no ARN of an IAM *kind* (`role`, `policy`, `oidc-provider`).

    Args:
        arn: the value; whatever of it is known only at deploy time has no faults yet.
        kind: the word before the first slash of the resource.
        of: the property that holds it, for the message.
        partition: partition that it must be in. Default: any.
        account: account that it must be in. Default: any.
    """
    if not isinstance(arn, str):
        yield f"{of} must be an ARN, got {arn!r}; put it in quotes"
        return
    example = f"arn:aws:iam::ACCOUNT:{kind}/NAME"
    parts = arn.split(":", 5)
    if is_deploy_time(arn) and len(parts) != 6:  # noqa: PLR2004 (an ARN's six parts)
        return
    if len(parts) != 6 or parts[0] != "arn":  # noqa: PLR2004 (an ARN's six parts)
        yield f"{of} must be an ARN such as {example}, got {arn!r}; copy it from IAM"
        return
    _, arn_partition, service, region, owner, resource = parts
    yield from _partition_faults(arn, arn_partition, partition, of)
    if service != "iam" or region:
        yield f"{of} must be an IAM ARN such as {example}, got {arn!r}; IAM ARNs have no region"
    yield from _account_faults(arn, owner, kind, account, of)
    yield from _resource_faults(arn, resource, kind, of)


def existing_role_faults(role_arn: object, **options: object) -> Iterator[str]:
    """Say why a role that is made elsewhere cannot be bound, or takes none of these *options*."""
    yield from arn_faults(role_arn, "role", of="role_arn")
    given = ", ".join(name for name, value in options.items() if value)
    if given:
        yield f"role_arn must stand alone, got {given}; set that where the role is defined"


def _partition_faults(arn: str, found: str, expected: str | None, of: str) -> Iterator[str]:
    if is_deploy_time(found):
        return
    if found not in PARTITIONS:
        yield f"{of} must be in one of {', '.join(PARTITIONS)}, got {arn!r}; correct it"
    elif expected is not None and found != expected:
        yield (
            f"{of} must be in partition {expected}, got {arn!r}; partitions do not trust each"
            f" other, so write arn:{expected}:..."
        )


def _account_faults(
    arn: str, found: str, kind: str, expected: str | None, of: str
) -> Iterator[str]:
    if is_deploy_time(found):
        return
    if not (_ACCOUNT.fullmatch(found) or (kind == "policy" and found == "aws")):
        yield f"{of} must hold a 12-digit account, got {arn!r}; correct the account"
    elif expected is not None and found != expected:
        yield f"{of} must be in account {expected}, got {arn!r}; define one in that account"


def _resource_faults(arn: str, resource: str, kind: str, of: str) -> Iterator[str]:
    if is_deploy_time(resource):
        return
    if resource.startswith(f"{kind}:"):
        yield f"{of} must be written {kind}/NAME, got {arn!r}; replace the last colon by a slash"
    elif not resource.startswith(f"{kind}/") or resource.endswith("/"):
        yield f"{of} must name a {kind}, got {arn!r}; such as arn:aws:iam::ACCOUNT:{kind}/NAME"
    elif kind != "oidc-provider" and not all(
        _IAM_NAME.fullmatch(part) for part in resource.split("/")
    ):
        yield f"{of} must use letters, digits and _+=,.@-/ in its name, got {arn!r}; correct it"


def partition_of_region(region: str) -> str:
    """Return the partition that a region is in."""
    return next(
        (partition for prefix, partition in _REGIONS.items() if region.startswith(prefix)), "aws"
    )
