"""Subnets and security groups."""

import ipaddress
import re
from collections.abc import Iterator

from rehearsal.refusals.change import Change, Properties, Refusal

_SUBNET = "AWS::EC2::Subnet"
_CONFLICT = "https://github.com/aws/aws-cdk/issues/6683"
_GROUPS = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"
_RULES = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html"
_CHARACTERS = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")


def subnet_conflicts(change: Change) -> Iterator[Refusal]:
    """Refuse addresses of another subnet; those that an update removes are still there."""
    for logical_id, properties in change.made(_SUBNET):
        for other, neighbour in _neighbours(change, logical_id):
            if _vpc(change, other, neighbour) == _vpc(change, logical_id, properties) and _overlap(
                properties, neighbour
            ):
                yield Refusal(
                    resource=logical_id,
                    message=f"The CIDR '{properties['CidrBlock']}' conflicts with another subnet",
                    source=_CONFLICT,
                )
                break


def descriptions(change: Change) -> Iterator[Refusal]:
    """Refuse characters that EC2 does not take in descriptions of groups and their rules."""
    for logical_id, properties in change.made("AWS::EC2::SecurityGroup"):
        text = change.resolved(properties.get("GroupDescription", ""))
        if not _CHARACTERS.fullmatch(str(text)):
            yield Refusal(
                resource=logical_id,
                message=f"Value ({text}) for parameter GroupDescription is invalid.",
                source=_GROUPS,
            )
        for side in ("SecurityGroupIngress", "SecurityGroupEgress"):
            for rule in properties.get(side) or []:
                yield from _rule(change, logical_id, rule)
    for logical_id, properties in change.made(
        "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"
    ):
        yield from _rule(change, logical_id, properties)


def _rule(change: Change, logical_id: str, rule: Properties) -> Iterator[Refusal]:
    if not _CHARACTERS.fullmatch(str(change.resolved(rule.get("Description", "")))):
        yield Refusal(
            resource=logical_id,
            message="Invalid rule description. Valid descriptions are strings less than 256"
            " characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
            source=_RULES,
        )


def _neighbours(change: Change, logical_id: str) -> Iterator[tuple[str, Properties]]:
    """Yield the subnets that are there when *logical_id* is made: the old ones, then new ones."""
    for name, resource in change.old_resources.items():
        if resource["Type"] == _SUBNET:
            yield name, resource["Properties"]
    for name, properties in change.made(_SUBNET):
        if name != logical_id:
            yield name, properties


def _vpc(change: Change, logical_id: str, properties: Properties) -> str:
    """Return which VPC a subnet is in: the new one, if the update replaces it."""
    vpc = str(properties.get("VpcId"))
    new = (change.resources.get(logical_id) or {}).get("Properties") is properties
    moved = any(name in vpc for name in change.replaced)
    return f"{vpc} (new)" if new and moved else vpc


def _overlap(one: Properties, other: Properties) -> bool:
    blocks = [side.get("CidrBlock") for side in (one, other)]
    if not all(isinstance(block, str) for block in blocks):
        return False
    first, second = (ipaddress.ip_network(str(block)) for block in blocks)
    return first.overlaps(second)
