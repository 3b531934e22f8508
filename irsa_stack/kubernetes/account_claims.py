"""Which construct binds which service account of a cluster: one construct each, and once."""

from collections.abc import Hashable
from weakref import WeakKeyDictionary

from irsa_stack.kubernetes.identity import ServiceAccountIdentity


class AccountClaims:
    """Hold who binds the accounts of one cluster, over all constructs of one assembly.

    Two roles for one account would overwrite each other, at every deploy.
    """

    def __init__(self) -> None:
        self._claimants: dict[ServiceAccountIdentity, str] = {}

    @staticmethod
    def of(assembly: object, cluster: Hashable) -> "AccountClaims":
        """Return the claims on *cluster*, for as long as *assembly* lives.

        Args:
            assembly: what is synthesised together: an app's stages may hold the same cluster.
            cluster: what tells it from any other.
        """
        return _CLAIMS.setdefault(assembly, {}).setdefault(cluster, AccountClaims())

    def faults(self, identity: ServiceAccountIdentity, claimant: str) -> list[str]:
        """Say why *claimant*, a construct's class and path, may not bind *identity*."""
        first = self._claimants.get(identity)
        if first is None:
            return []
        by = "twice" if first == claimant else f"by {claimant} beside {first}"
        return [
            f"service account must be bound once in a cluster, got {str(identity)!r} {by};"
            " remove one"
        ]

    def take(self, identity: ServiceAccountIdentity, claimant: str) -> None:
        """Let *claimant* bind *identity*, and nobody else."""
        self._claimants[identity] = claimant


_CLAIMS: WeakKeyDictionary[object, dict[Hashable, AccountClaims]] = WeakKeyDictionary()
