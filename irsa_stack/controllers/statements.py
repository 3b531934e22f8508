"""IAM statements, and where the resources are that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time

Statement = dict[str, Any]
Document = dict[str, Any]
Conditions = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Location:
    """Say where the resources of a policy are.

    Attributes:
        partition: such as `aws` or `aws-cn`.
        region: such as `eu-west-1`.
        aws_account: 12 digits.
    """

    partition: str
    region: str
    aws_account: str

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this region and AWS account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.aws_account}:{resource}"

    def iam_arn(self, resource: str) -> str:
        """Return the ARN of an IAM resource of this AWS account."""
        return f"arn:{self.partition}:iam::{self.aws_account}:{resource}"

    def public_arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this region whose ARN has no AWS account."""
        return f"arn:{self.partition}:{service}:{self.region}::{resource}"

    @property
    def is_china(self) -> bool:
        """Whether it is in China; of a location known at deploy, the region tells."""
        return self.partition == "aws-cn" or self.region.startswith("cn-")

    def may_be_china(self) -> bool:
        """Whether names that only China has must be allowed too: it is there, or nobody knows."""
        return self.is_china or is_deploy_time(self.region)

    def services(self, name: str) -> list[str]:
        """Return the names of a service in this region, as `kms:ViaService` may have them.

        China may use a suffix of its own: KMS's documents do not say, so both are taken there.
        """
        suffixes = ("", ".cn") if self.may_be_china() else ("",)
        return [f"{name}.{self.region}.amazonaws.com{suffix}" for suffix in suffixes]


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


def use_keys(
    location: Location, keys: Sequence[str], actions: Sequence[str], *, service: str
) -> list[Statement]:
    """Return a statement that uses *keys* through one AWS service only; none without keys."""
    if not keys:
        return []
    via = {"StringEquals": {"kms:ViaService": location.services(service)}}
    return [allow("UseKeys", [f"kms:{action}" for action in actions], keys, via)]


def owned_by(cluster: str) -> dict[str, str]:
    """Return the condition that a resource bears the tag of *cluster*."""
    return {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"}


def requested_for(cluster: str) -> dict[str, str]:
    """Return the condition that a request puts the tag of *cluster* on a new resource."""
    return {f"aws:RequestTag/kubernetes.io/cluster/{cluster}": "owned"}
