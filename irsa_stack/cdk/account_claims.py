"""Which construct binds which service account of a cluster: one construct each, and once."""

import hashlib
from typing import cast

from aws_cdk import Stage
from constructs import Construct, IConstruct

from irsa_stack.cdk.cluster_connection import ClusterConnection
from irsa_stack.kubernetes.identity import ServiceAccountIdentity


class AccountClaims(Construct):
    """Hold who binds the service accounts of one cluster, over all constructs of one assembly.

    Two roles for one service account would overwrite each other, at every deploy.
    """

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self._claimants: dict[ServiceAccountIdentity, str] = {}

    @staticmethod
    def of(scope: Construct, cluster: ClusterConnection) -> "AccountClaims":
        """Return the claims on *cluster* in the assembly of *scope*.

        The stages of an app are deployed apart, and may hold the same cluster.
        """
        assembly: IConstruct = Stage.of(scope) or scope.node.root
        name = f"{cluster.cluster_name} {cluster.endpoint}"
        child = f"ServiceAccountsOf{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        found = assembly.node.try_find_child(child)
        if found is None:
            return AccountClaims(cast("Construct", assembly), child)
        return cast("AccountClaims", found)

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
