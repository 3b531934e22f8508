"""external-dns: changes the records of named zones, and no other.

See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/tutorials/aws.md
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.controllers.scopes import ROLE, Kind, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.faults import no_list_faults

RECORD_TYPES = ("A", "AAAA", "CNAME", "MX", "NAPTR", "NS", "SRV", "TXT")
"""Types that external-dns keeps in Route 53.

See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/provider/aws/aws.go
"""

DEFAULT_RECORD_TYPES = ("A", "AAAA", "CNAME")
"""See: https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/flags.md"""

_NAMES = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
_TYPES = "route53:ChangeResourceRecordSetsRecordTypes"
ZONE = Kind(
    r"(?:(?:arn:aws[a-z-]*:route53:::|/)?hostedzone/)?Z[0-9A-Z]{1,31}",
    "Z0123456789ABCDEFGHIJ",
    "copy the id that `aws route53 list-hosted-zones` prints",
)
_RECORD_NAME = re.compile(r"(?:[a-z0-9_*-]{1,63}\.)+[a-z0-9-]{1,63}")
RECORD_POLICIES = ("upsert-only", "create-only", "sync")


@dataclass(frozen=True, kw_only=True)
class ExternalDns(ControllerSpec):
    """Keeps DNS records of services and ingresses, in the zones that it is given.

    Zones of other AWS accounts: give the roles there as `assume_roles`; several need AWS profiles
    in the controller. The role there gets the policy of
    `ExternalDns(hosted_zones=...).documents(...)`.

    Examples:
        >>> from irsa_stack.controllers import ExternalDns
        >>> dns = ExternalDns(
        ...     hosted_zones=["Z0123456789ABCDEFGHIJ"], record_names=["*.apps.example.com"]
        ... )
    """

    hosted_zones: Sequence[str] = ()
    """Ids or ARNs of the zones whose records it may change."""
    record_names: Sequence[str] = ()
    """Names that it may change, `*` standing for any characters. The names of the registry's TXT
    records are added. Default: every name of the zones."""
    record_types: Sequence[str] = ()
    """Types that it may change; `TXT` is added for the registry. Default: all."""
    txt_prefix: str = ""
    """The controller's `--txt-prefix`. Default: none."""
    assume_roles: Sequence[str] = ()
    """ARNs of the roles that hold zones of other AWS accounts. Default: none."""
    owner_id: str | None = None
    """Who the registry says owns a record. Default: the cluster's name."""
    record_policy: str = "upsert-only"
    """`upsert-only`, `create-only` or `sync`, which deletes too."""

    upstream = Upstream(
        policy="https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/tutorials/aws.md",
        version="v0.22.0",
        released="2026-08-19",
        minimum="v0.15.0",
        because="reads the tags of all zones in one call, route53:ListTagsForResources",
        chart="external-dns",
        repository="https://kubernetes-sigs.github.io/external-dns/",
        chart_version="1.21.1",
    )
    service_account = "external-dns"
    addon = "external-dns"
    wildcards = {
        "FindZones": "Route 53 lists zones on no resource level; nothing is written",
    }

    def faults(self) -> Iterator[str]:
        yield from list_faults(self.hosted_zones, ZONE, of="hosted_zones")
        yield from _names_faults(self.record_names)
        yield from _types_faults(self.record_types)
        yield from list_faults(self.assume_roles, ROLE, of="assume_roles")
        if not self.hosted_zones and not self.assume_roles:
            yield (
                f"hosted_zones must name at least one zone, got {list(self.hosted_zones)!r}; pass"
                " ids or ARNs, or assume_roles for zones of other accounts"
            )
        if not self.hosted_zones and (self.record_names or self.record_types):
            yield (
                "record_names and record_types must go with hosted_zones, got none; in another"
                " account the role there holds them"
            )
        if self.record_policy not in RECORD_POLICIES:
            yield (
                f"record_policy must be of {', '.join(RECORD_POLICIES)}, got"
                f" {self.record_policy!r}; correct it"
            )

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        statements: list[Statement] = []
        if self.hosted_zones:
            zones = zone_arns(self.hosted_zones, location)
            statements = [
                allow(
                    "ChangeRecords",
                    ["route53:ChangeResourceRecordSets"],
                    zones,
                    _record_conditions(self.record_names, self.record_types, self.txt_prefix),
                ),
                allow(
                    "ReadRecords",
                    ["route53:ListResourceRecordSets", "route53:ListTagsForResources"],
                    zones,
                ),
                allow("FindZones", ["route53:ListHostedZones"], ["*"]),
            ]
        if self.assume_roles:
            statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], self.assume_roles))
        return {"ExternalDns": statements}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if self.hosted_zones:
            arguments["zone-id-filter"] = [zone_id(zone) for zone in self.hosted_zones]
        if len(self.assume_roles) == 1:
            arguments["aws-assume-role"] = self.assume_roles[0]
        values: dict[str, Any] = {
            "provider": {"name": "aws"},
            "policy": self.record_policy,
            "registry": "txt",
            "txtOwnerId": self.owner_id or cluster.name,
            "extraArgs": arguments,
            "env": [{"name": "AWS_DEFAULT_REGION", "value": location.region}],
        }
        if self.txt_prefix:
            values["txtPrefix"] = self.txt_prefix
        if self.record_types:
            values["managedRecordTypes"] = list(self.record_types)
        return values


def zone_id(zone: str) -> str:
    """Return the id in the id, the path or the ARN of a hosted zone."""
    return zone if is_deploy_time(zone) else zone.rpartition("/")[2]


def zone_arns(zones: Sequence[str], location: Location) -> list[str]:
    """Return the ARNs of zones given as ids, paths or ARNs."""
    return [f"arn:{location.partition}:route53:::hostedzone/{zone_id(zone)}" for zone in zones]


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


def _names_faults(names: Sequence[str]) -> Iterator[str]:
    if faults := no_list_faults(names, of="record_names"):
        yield from faults
        return
    for name in names:
        if is_deploy_time(name) or not _RECORD_NAME.fullmatch(name):
            yield (
                "record_names must be literal names in lower case without a final dot, such as"
                f" 'api.example.com' or '*.apps.example.com', got {name!r}; correct it"
            )


def _types_faults(types: Sequence[str]) -> Iterator[str]:
    if faults := no_list_faults(types, of="record_types"):
        yield from faults
        return
    for record_type in types:
        if record_type not in RECORD_TYPES:
            yield (
                f"record_types must be of {', '.join(RECORD_TYPES)}, got {record_type!r};"
                " external-dns writes no other"
            )
