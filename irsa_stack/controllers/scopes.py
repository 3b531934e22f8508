"""The rules of what a controller is held to: ARNs, names, lists that must not be empty."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.faults import no_list_faults

_AWS_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True)
class Kind:
    """What the items of a scope look like.

    Attributes:
        pattern: regular expression that an item matches whole.
        example: one such item, for the message.
        remedy: where to find it, for the message.
        literal: whether it must be known at synth, because a part of it is told to the chart.
    """

    pattern: str
    example: str
    remedy: str = "copy it from the console"
    literal: bool = False

    def faults(self, value: object, *, of: str) -> Iterator[str]:
        """Say what makes *value* none of this kind; one known at deploy has no faults yet."""
        if not isinstance(value, str) or not (
            (is_deploy_time(value) and not self.literal) or re.fullmatch(self.pattern, value)
        ):
            yield f"{of} must be such as {self.example!r}, got {value!r}; {self.remedy}"


def _arn(service: str, resource: str, example: str, remedy: str = "copy its ARN") -> Kind:
    return Kind(
        rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:{resource}",
        f"arn:aws:{service}:eu-west-1:111122223333:{example}",
        remedy,
    )


KEY = _arn("kms", "key/[0-9A-Za-z-]+", "key/0a1b2c3d", "an alias is no resource, so give the key")
QUEUE = replace(
    _arn("sqs", "[A-Za-z0-9_-]{1,80}", "payments-prod", "write its ARN with a literal name"),
    literal=True,
)
ROLE = Kind(
    r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+",
    "arn:aws:iam::111122223333:role/name",
    "copy its ARN from IAM",
)
BUCKET = Kind(
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "payments-prod-logs", "give the name, not the ARN"
)
PREFIX = Kind(r"[^/*?$][^*?$]*/", "team-a/", "end it with a slash, so that no neighbour begins so")
SECRET = _arn(
    "secretsmanager",
    r"secret:[\w/+=.@-]+(?:/\*|-\?{6}|-[A-Za-z0-9]{6})",
    "secret:payments/*",
    "end it with /* for a path, or with -?????? for one secret",
)
PARAMETER = _arn("ssm", r"parameter/[\w/.-]+(?:/\*)?", "parameter/payments/*")
WORKSPACE = _arn("aps", "workspace/[A-Za-z0-9_-]+", "workspace/ws-0a1b")
REPOSITORY = _arn("ecr", r"repository/[a-z0-9][a-z0-9._/-]*(?:/\*)?", "repository/payments/*")
CERTIFICATE_AUTHORITY = _arn(
    "acm-pca", "certificate-authority/[0-9a-f-]+", "certificate-authority/0a1b"
)
FILE_SYSTEM = _arn("elasticfilesystem", "file-system/fs-[0-9a-f]+", "file-system/fs-0a1b2c3d")


def list_faults(
    values: Sequence[str], kind: Kind, *, of: str, required: bool = False
) -> Iterator[str]:
    """Say what is wrong with a list of scopes.

    Args:
        values: the list.
        kind: what its items look like.
        of: the property that holds it.
        required: whether it must hold at least one.
    """
    if faults := no_list_faults(values, of=of):
        yield from faults
        return
    if required and not values:
        yield f"{of} must name at least one, got {list(values)!r}; such as {kind.example!r}"
    for value in values:
        yield from kind.faults(value, of=of)


def vpc_owner_faults(vpc_owner: object) -> Iterator[str]:
    """Say what makes *vpc_owner* no AWS account; None is the cluster's own."""
    if isinstance(vpc_owner, str) and not (
        _AWS_ACCOUNT.fullmatch(vpc_owner) or (vpc_owner and is_deploy_time(vpc_owner))
    ):
        yield (
            f"vpc_owner must be a 12-digit account, got {vpc_owner!r}; leave it out unless the VPC"
            " is shared with the cluster's account"
        )
