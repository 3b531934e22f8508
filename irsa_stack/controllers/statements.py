"""IAM statements, and the scopes that they are held to."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time

Statement = dict[str, Any]
Document = dict[str, Any]

_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Say where the resources of a policy are.

    Args:
        partition: such as `aws` or `aws-cn`.
        region: such as `eu-west-1`.
        account: 12 digits.
        vpc_owner: account of the VPC, if it is shared with *account*. Default: *account*.
    """

    partition: str
    region: str
    account: str
    vpc_owner: str | None = None

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def vpc_arn(self, vpc_id: str) -> str:
        """Return the ARN of a VPC of this region."""
        return self._in_vpc(f"vpc/{vpc_id}")

    @property
    def subnet_arns(self) -> str:
        """The ARNs of all subnets of this region: a shared subnet belongs to the VPC's owner."""
        return self._in_vpc("subnet/*")

    def _in_vpc(self, resource: str) -> str:
        return f"arn:{self.partition}:ec2:{self.region}:{self.vpc_owner or self.account}:{resource}"


def document(*statements: Statement) -> Document:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> Statement:
    """Return a statement that allows *actions* on *resources* where all *conditions* hold."""
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    if conditions:
        statement["Condition"] = {
            operator: dict(keys) for operator, keys in sorted(conditions.items())
        }
    return statement


def vpc_owner_faults(vpc_owner: object) -> Iterator[str]:
    """Say what makes *vpc_owner* no account; None is the cluster's own."""
    if isinstance(vpc_owner, str) and not (
        _ACCOUNT.fullmatch(vpc_owner) or (vpc_owner and is_deploy_time(vpc_owner))
    ):
        yield (
            f"vpc_owner must be a 12-digit account, got {vpc_owner!r}; leave it out unless the VPC"
            " is shared with the cluster's account"
        )
