"""cert-manager with DNS01: writes the challenge records of named zones, and no other record.

See: https://cert-manager.io/docs/configuration/acme/dns01/route53/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irsa_stack.controllers.external_dns import ZONE, zone_arns
from irsa_stack.controllers.scopes import ROLE, Kind, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Conditions, Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream

_DOMAIN = Kind(
    r"(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63}",
    "shop.example.com",
    "write it in lower case, without a final dot",
)
_KEY = "route53:ChangeResourceRecordSets"


@dataclass(frozen=True, kw_only=True)
class CertManager(ControllerSpec):
    """Proves to a certificate authority that a domain is yours, by TXT records in named zones.

    It writes only TXT records named `_acme-challenge.*`; upstream's policy does not limit names.

    Examples:
        >>> from irsa_stack.controllers import CertManager
        >>> certificates = CertManager(
        ...     hosted_zones=["Z0123456789ABCDEFGHIJ"], domains=["*.apps.example.com"]
        ... )
    """

    hosted_zones: Sequence[str] = ()
    """Ids or ARNs of the zones whose challenges it writes."""
    domains: Sequence[str] = ()
    """Domains that certificates are for, `*.` before one for a wildcard certificate; with
    `cnameStrategy: Follow`, what the challenge's CNAME points to. Default: all of the zones."""
    find_zones: bool = True
    """Whether it finds a zone by its name; not needed where each solver has a `hostedZoneID`."""
    assume_roles: Sequence[str] = ()
    """ARNs of the roles that hold zones of other AWS accounts, a solver's `role`. Default: none."""

    upstream = Upstream(
        policy="https://cert-manager.io/docs/configuration/acme/dns01/route53/",
        version="v1.21.1",
        released="2026-07-29",
        minimum="v1.16.0",
        because="takes the region from its environment",
        chart="cert-manager",
        repository="https://charts.jetstack.io",
        chart_version="v1.21.1",
    )
    namespace = "cert-manager"
    service_account = "cert-manager"
    addon = "cert-manager"
    wildcards = {
        "AwaitChange": "a change's id is not known before; read only",
        "FindZones": "Route 53 lists zones on no resource level; nothing is written",
    }

    def faults(self) -> Iterator[str]:
        yield from list_faults(self.hosted_zones, ZONE, of="hosted_zones")
        yield from list_faults(self.domains, _DOMAIN, of="domains")
        yield from list_faults(self.assume_roles, ROLE, of="assume_roles")
        if not self.hosted_zones and not self.assume_roles:
            yield (
                "hosted_zones must name at least one zone, got []; pass ids or ARNs, or"
                " assume_roles for zones of other accounts"
            )
        if self.domains and not self.hosted_zones:
            yield "domains must go with hosted_zones, got none; the role there holds them"

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        statements: list[Statement] = []
        if self.hosted_zones:
            names = [
                f"_acme-challenge.{domain.removeprefix('*.')}" for domain in self.domains or ["*"]
            ]
            values = {f"{_KEY}RecordTypes": ["TXT"], f"{_KEY}Actions": ["DELETE", "UPSERT"]}
            named = {f"{_KEY}NormalizedRecordNames": sorted(set(names))}
            # ForAllValues also holds for a request without the key, so that the key must be there.
            conditions: Conditions = {
                "ForAllValues:StringEquals": values,
                "ForAllValues:StringLike": named,
                "Null": dict.fromkeys([*values, *named], "false"),
            }
            zones = zone_arns(self.hosted_zones, location)
            changes = f"arn:{location.partition}:route53:::change/*"
            statements = [
                allow("ChangeChallenges", [_KEY], zones, conditions),
                allow("AwaitChange", ["route53:GetChange"], [changes]),
            ]
            if self.find_zones:
                statements.append(allow("FindZones", ["route53:ListHostedZonesByName"], ["*"]))
        if self.assume_roles:
            statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], self.assume_roles))
        return {"CertManager": statements}
