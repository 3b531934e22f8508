"""What the functions may do: `AmazonEKSEditPolicy` in the namespaces that they bind, no more.

The access entry is played by RBAC: a role binding of the `edit` role, which the access policy
mirrors. See: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from custom_resource import Failure
from tests.support.binder import account, run

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed


def test_is_forbidden_outside_its_namespaces_and_says_so(cluster: Rehearsed) -> None:
    inside, outside = cluster.namespace(), cluster.namespace(bound=False)
    asked = {**account(f"{inside}/api"), **account(f"{outside}/api")}

    with pytest.raises(Failure, match=r"serviceaccounts is forbidden.*access entry") as refused:
        run(cluster.connection, "Create", asked)

    assert outside in str(refused.value)
    assert cluster.account(f"{inside}/api") is None


def test_a_rollback_does_not_fail_where_access_is_gone_already(cluster: Rehearsed) -> None:
    kept, added = cluster.namespace(), cluster.namespace(bound=False)
    before = account(f"{kept}/api")
    run(cluster.connection, "Create", before)

    answer = run(cluster.connection, "Update", before, {**before, **account(f"{added}/api")})

    assert answer.data["Bound"] == "1"


def test_needs_cluster_scope_to_create_a_namespace(cluster: Rehearsed) -> None:
    asked = account(f"{cluster.namespace()}-new/api", CreateNamespace="true")

    with pytest.raises(Failure, match="is forbidden"):
        run(cluster.connection, "Create", asked)


def test_needs_exactly_these_verbs(cluster: Rehearsed) -> None:
    """The narrowest role, for who writes RBAC instead of taking the access policy."""
    namespace = cluster.namespace(bound=False)
    cluster.plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "irsa-stack-binder"},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["serviceaccounts"],
                    "verbs": ["get", "list", "create", "patch", "delete"],
                },
                {
                    "apiGroups": ["apps"],
                    "resources": ["deployments", "statefulsets", "daemonsets"],
                    "verbs": ["get", "list", "patch"],
                },
                {
                    "apiGroups": ["policy"],
                    "resources": ["poddisruptionbudgets"],
                    "verbs": ["list"],
                },
            ],
        }
    )
    cluster.allow(namespace, "irsa-stack-binder")
    cluster.make_account(f"{namespace}/theirs")
    cluster.make_deployment(f"{namespace}/api", account="theirs")
    asked = {
        **account(f"{namespace}/ours"),
        **account(f"{namespace}/theirs", "ADOPT", Restart=["*"]),
    }

    run(cluster.connection, "Create", asked)
    run(cluster.connection, "Delete", asked)

    assert cluster.account(f"{namespace}/ours") is None
