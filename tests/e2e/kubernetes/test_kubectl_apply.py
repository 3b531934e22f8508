"""Why the binder does not use `kubectl apply --server-side`: it destroys what others applied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.binder import account, run

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed


def test_kubectl_apply_server_side_removes_what_somebody_applied(cluster: Rehearsed) -> None:
    namespace = cluster.namespace()
    _applied_by_somebody(cluster, namespace)
    ours = {"name": "api", "namespace": namespace, "annotations": {"k": "v"}}
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": ours}

    for _ in range(2):
        cluster.plane.kubectl(
            "apply", "--server-side", "--field-manager=irsa-stack", "-f-", stdin=json.dumps(body)
        )

    found = cluster.account(f"{namespace}/api")
    assert found
    assert "labels" not in found["metadata"]


def test_the_binder_leaves_it(cluster: Rehearsed) -> None:
    namespace = cluster.namespace()
    _applied_by_somebody(cluster, namespace)
    asked = account(f"{namespace}/api", "ADOPT")

    run(cluster.connection, "Create", asked)
    run(cluster.connection, "Update", asked, asked)
    run(cluster.connection, "Delete", asked)

    found = cluster.account(f"{namespace}/api")
    assert found
    assert found["metadata"]["labels"] == {"team": "payments"}


def _applied_by_somebody(cluster: Rehearsed, namespace: str) -> None:
    metadata = {"name": "api", "namespace": namespace, "labels": {"team": "payments"}}
    cluster.plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
