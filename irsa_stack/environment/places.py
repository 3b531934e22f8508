"""Partition, region and AWS account of everything that an environment file names."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from irsa_stack.eks.cluster_attributes import cluster_place_faults
from irsa_stack.iam.arn import partition_of_region

if TYPE_CHECKING:
    from irsa_stack.environment.environment import Environment
    from irsa_stack.environment.service_accounts import ServiceAccountSettings

_PARTS = 6


def place_faults(settings: "Environment") -> Iterator[str]:
    """Say what is of another partition, region or AWS account than the file's own."""
    existing = settings.cluster.existing
    if existing is not None:
        for fault in cluster_place_faults(
            endpoint=existing.endpoint, issuer_url=existing.issuer_url, region=settings.region
        ):
            yield f"cluster.existing.{fault}"
    if settings.region is None or settings.account is None:
        return
    for place, arn, fixed in _arns(settings):
        yield from _arn_faults(place, arn, fixed, settings.region, settings.account)
    for place, zones in _zones(settings):
        for zone in zones:
            if not zone.startswith(settings.region):
                yield (
                    f"{place} must be zones of {settings.region}, got {zone!r}; correct it, or the"
                    " region"
                )


def _arn_faults(place: str, arn: str, fixed: str, region: str, account: str) -> Iterator[str]:
    parts = arn.split(":", _PARTS - 1)
    if len(parts) != _PARTS:
        return
    partition = partition_of_region(region)
    if parts[1] != partition and not set("*$") & set(parts[1]):
        yield (
            f"{place} must be in partition {partition} as {region} is, got {arn!r}; write"
            f" arn:{partition}:..."
        )
        return
    if "region" in fixed and parts[3] != region:
        yield f"{place} must be in {region}, got {arn!r}; name one of that region"
    if "account" in fixed and parts[4] not in (account, "aws"):
        yield f"{place} must be in account {account}, got {arn!r}; name one of that account"


def _arns(settings: "Environment") -> Iterator[tuple[str, str, str]]:
    """Return each ARN with its place, and what of it must be the environment's own."""
    new, existing = settings.cluster.new, settings.cluster.existing
    ones = [
        ("permissions_boundary", settings.permissions_boundary, "account"),
        ("log_encryption_key", settings.log_encryption_key, "region"),
    ]
    if new is not None:
        of = "cluster.new"
        ones.append((f"{of}.secrets_encryption_key", new.secrets_encryption_key, "region"))
        ones += [(f"{of}.administrators[{n}]", arn, "") for n, arn in enumerate(new.administrators)]
    if existing is not None:
        of = "cluster.existing.node_roles"
        ones += [(f"{of}[{n}]", role, "account") for n, role in enumerate(existing.node_roles)]
    for number, account in enumerate(settings.service_accounts):
        ones += _account_arns(f"service_accounts[{number}]", account)
    yield from ((place, arn, fixed) for place, arn, fixed in ones if arn is not None)


def _account_arns(
    of: str, account: "ServiceAccountSettings"
) -> Iterator[tuple[str, str | None, str]]:
    yield f"{of}.permissions_boundary", account.permissions_boundary, "account"
    yield f"{of}.role_arn", account.role_arn, ""
    for position, arn in enumerate(account.managed_policies):
        yield f"{of}.managed_policies[{position}]", arn, "account"
    for position, statement in enumerate(account.statements):
        for last, arn in enumerate(statement.resources):
            yield f"{of}.statements[{position}].resources[{last}]", arn, ""


def _zones(settings: "Environment") -> Iterator[tuple[str, list[str]]]:
    new, existing = settings.cluster.new, settings.cluster.existing
    if new is not None:
        yield "cluster.new.vpc.zones", new.vpc.zones
    if existing is not None:
        yield "cluster.existing.zones", existing.zones
