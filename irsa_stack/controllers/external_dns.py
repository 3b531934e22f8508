"""What external-dns may do: change the records of named zones, and no other.

See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/tutorials/aws.md
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.controllers.statements import Document, Statement, allow, document
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.faults import refuse
from irsa_stack.iam.arn import arn_faults

UPSTREAM = Upstream(
    policy="https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/tutorials/aws.md",
    version="v0.22.0",
    released="2026-08-19",
    minimum="v0.15.0",
    because="reads the tags of all zones in one call, route53:ListTagsForResources",
    chart="external-dns",
    repository="https://kubernetes-sigs.github.io/external-dns/",
    chart_version="1.21.1",
)

WILDCARDS = {
    "FindZones": "Route 53 lists zones on no resource level; nothing is written",
}
"""Why a statement names all resources."""

RECORD_TYPES = ("A", "AAAA", "CNAME", "MX", "NAPTR", "NS", "SRV", "TXT")
"""Types that external-dns keeps in Route 53.

See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/provider/aws/aws.go
"""

DEFAULT_RECORD_TYPES = ("A", "AAAA", "CNAME")
"""See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/flags.md"""

_NAMES = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
_TYPES = "route53:ChangeResourceRecordSetsRecordTypes"
_ZONE_ID = re.compile(r"Z[0-9A-Z]{1,31}")
_ZONE_ARN = re.compile(r"arn:(aws[a-z-]*):route53:::hostedzone/(Z[0-9A-Z]{1,31})")
_RECORD_NAME = re.compile(r"(?:[a-z0-9_*-]{1,63}\.)+[a-z0-9-]{1,63}")


def policy_documents(
    *,
    partition: str,
    hosted_zones: Sequence[str] = (),
    record_names: Sequence[str] = (),
    record_types: Sequence[str] = (),
    txt_prefix: str = "",
    assume_roles: Sequence[str] = (),
) -> dict[str, Document]:
    """Return the policy of external-dns by name.

    Args:
        partition: such as `aws` or `aws-cn`.
        hosted_zones: ids or ARNs of the zones whose records it may change.
        record_names: names that it may change, `*` standing for any characters. The names of the
            registry's TXT records are added. Default: every name of the zones.
        record_types: types that it may change; `TXT` is added for the registry. Default: all.
        txt_prefix: the controller's `--txt-prefix`. Default: none.
        assume_roles: ARNs of the roles that hold zones of other accounts. Default: none.

    Raises:
        InvalidInput: nothing is named, or a name is none; all faults are listed.
    """
    refuse(
        [
            *_zones_faults(hosted_zones, partition),
            *_names_faults(record_names),
            *_types_faults(record_types),
            *_roles_faults(assume_roles, partition),
            *_scope_faults(hosted_zones, record_names, record_types, assume_roles),
        ]
    )
    statements: list[Statement] = []
    if hosted_zones:
        zones = [f"arn:{partition}:route53:::hostedzone/{zone_id(zone)}" for zone in hosted_zones]
        statements = [
            allow(
                "ChangeRecords",
                ["route53:ChangeResourceRecordSets"],
                zones,
                _record_conditions(record_names, record_types, txt_prefix),
            ),
            allow(
                "ReadRecords",
                ["route53:ListResourceRecordSets", "route53:ListTagsForResources"],
                zones,
            ),
            allow("FindZones", ["route53:ListHostedZones"], ["*"]),
        ]
    if assume_roles:
        statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], assume_roles))
    return {"ExternalDns": document(*statements)}


def zone_id(zone: str) -> str:
    """Return the id in the id, the path or the ARN of a hosted zone."""
    return zone if is_deploy_time(zone) else zone.rpartition("/")[2]


def _record_conditions(
    names: Sequence[str], types: Sequence[str], txt_prefix: str
) -> dict[str, dict[str, Any]]:
    every: dict[str, Any] = {}
    if names:
        every[_NAMES] = sorted(
            {written for name in names for written in _written(name, types, txt_prefix)}
        )
    if types:
        every[_TYPES] = sorted({*types, "TXT"})
    if not every:
        return {}
    # ForAllValues also holds for a request without the key, so that the key must be there.
    return {"ForAllValues:StringLike": every, "Null": dict.fromkeys(every, "false")}


def _written(name: str, types: Sequence[str], txt_prefix: str) -> Iterator[str]:
    """Name the record and the TXT records in which the registry says whose it is.

    See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/registry/txt.md
    """
    yield name
    # Up to v0.21 the TXT of an alias, an A record, was named as that of a CNAME.
    kinds = {*types, "CNAME"} if "A" in types else set(types or DEFAULT_RECORD_TYPES)
    for record_type in map(str.lower, kinds):
        kind = f"{record_type}-"
        prefix = txt_prefix
        if "%{record_type}" in txt_prefix:
            prefix, kind = txt_prefix.replace("%{record_type}", record_type), ""
        yield f"{prefix}{kind}{name}"


def _zones_faults(zones: Sequence[str], partition: str) -> Iterator[str]:
    if isinstance(zones, str):
        yield f"hosted_zones must be a list, got {zones!r}; put it in brackets"
        return
    for zone in zones:
        if is_deploy_time(zone):
            continue
        arn = _ZONE_ARN.fullmatch(zone)
        if arn is None and not _ZONE_ID.fullmatch(zone.removeprefix("/hostedzone/")):
            yield (
                f"hosted_zones must hold ids such as 'Z0123456789ABCDEFGHIJ' or ARNs, got {zone!r};"
                " copy the id that `aws route53 list-hosted-zones` prints"
            )
        elif arn is not None and not is_deploy_time(partition) and arn[1] != partition:
            yield (
                f"hosted_zones must be in partition {partition}, got {zone!r}; pass the zone's id"
            )


def _names_faults(names: Sequence[str]) -> Iterator[str]:
    if isinstance(names, str):
        yield f"record_names must be a list, got {names!r}; put it in brackets"
        return
    for name in names:
        if is_deploy_time(name) or not _RECORD_NAME.fullmatch(name):
            yield (
                "record_names must be literal names in lower case without a final dot, such as"
                f" 'api.example.com' or '*.apps.example.com', got {name!r}; correct it"
            )


def _types_faults(types: Sequence[str]) -> Iterator[str]:
    if isinstance(types, str):
        yield f"record_types must be a list, got {types!r}; put it in brackets"
        return
    for record_type in types:
        if record_type not in RECORD_TYPES:
            yield (
                f"record_types must be of {', '.join(RECORD_TYPES)}, got {record_type!r};"
                " external-dns writes no other"
            )


def _roles_faults(roles: Sequence[str], partition: str) -> Iterator[str]:
    if isinstance(roles, str):
        yield f"assume_roles must be a list, got {roles!r}; put it in brackets"
        return
    same = None if is_deploy_time(partition) else partition
    for role in roles:
        yield from arn_faults(role, "role", of="assume_roles", partition=same)


def _scope_faults(
    zones: Sequence[str], names: Sequence[str], types: Sequence[str], roles: Sequence[str]
) -> Iterator[str]:
    if not zones and not roles:
        yield (
            f"hosted_zones must name at least one zone, got {list(zones)!r}; pass ids or ARNs, or"
            " assume_roles for zones of other accounts"
        )
    if not zones and (names or types):
        yield (
            "record_names and record_types must go with hosted_zones, got none; in another account"
            " the role there holds them"
        )
