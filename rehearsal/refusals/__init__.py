"""What AWS refuses to do with a stack: its own rules, in plain Python.

Each rule looks at a stack operation as a whole and yields what AWS would say, with a source. The
emulator and the tests of our templates ask the same rules.
"""

from collections.abc import Callable, Iterator

from rehearsal.refusals import (
    clusters,
    custom_resources,
    exports,
    iam_quotas,
    identities,
    network,
    node_groups,
    oidc_providers,
    ranges,
    service_principals,
)
from rehearsal.refusals.change import Change, Place, Refusal

__all__ = ["RULES", "Change", "Place", "Refusal", "refusals"]

RULES: dict[str, Callable[[Change], Iterator[Refusal]]] = {
    "export in use": exports.in_use,
    "named resource replaced": identities.named_replacements,
    "name taken": identities.taken,
    "type changed": identities.changed_types,
    "service token changed": custom_resources.service_tokens,
    "service timeout": custom_resources.service_timeouts,
    "cluster version": clusters.versions,
    "cluster zones": clusters.zones,
    "zone without EKS": clusters.zones_without_eks,
    "public access left out": clusters.public_access_left_out,
    "node group updates combined": node_groups.combined_updates,
    "node group version": node_groups.versions,
    "subnet conflict": network.subnet_conflicts,
    "description": network.descriptions,
    "thumbprints left out": oidc_providers.thumbprints_left_out,
    "thumbprints": oidc_providers.thumbprints,
    "principal of another partition": service_principals.foreign,
    "node role's principals": service_principals.node_roles,
    "IAM quota": iam_quotas.exceeded,
    "number out of range": ranges.exceeded,
}
"""The rules, by what they are about."""


def refusals(change: Change) -> list[Refusal]:
    """Return all that AWS would refuse of *change*."""
    return [refusal for rule in RULES.values() for refusal in rule(change)]
