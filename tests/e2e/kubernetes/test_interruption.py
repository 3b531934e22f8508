"""The function is killed between any two steps; CloudFormation then rolls back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kubernetes_api import restart
from kubernetes_api.connection import APPLY_PATCH
from tests.support.binder import ONE, ROLE, TWO, account, run
from tests.support.interruption import killed_at

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed

FOREIGN = "arn:aws:iam::111122223333:role/foreign"
# More than any of the deploys below sends.
WRITES = 16


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", 0.05)
    monkeypatch.setattr(restart, "_POLL_SECONDS", 0.2)


@pytest.mark.parametrize("write", range(WRITES))
def test_a_killed_create_leaves_nothing_after_the_rollback(cluster: Rehearsed, write: int) -> None:
    stack = _Stack(cluster)
    before = stack.state()

    with killed_at(write):
        run(cluster.connection, "Create", stack.first)
    run(cluster.connection, "Delete", stack.first)

    assert stack.state() == before


@pytest.mark.parametrize("write", range(WRITES))
def test_a_killed_update_is_undone_by_the_rollback(cluster: Rehearsed, write: int) -> None:
    stack = _Stack(cluster)
    run(cluster.connection, "Create", stack.first)
    before = stack.state()

    with killed_at(write):
        run(cluster.connection, "Update", stack.second, stack.first)
    run(cluster.connection, "Update", stack.first, stack.second)

    assert stack.state() == before


@pytest.mark.parametrize("write", range(WRITES))
def test_a_killed_rollback_ends_when_it_is_tried_again(cluster: Rehearsed, write: int) -> None:
    stack = _Stack(cluster)
    run(cluster.connection, "Create", stack.first)
    before = stack.state()

    with killed_at(6):
        run(cluster.connection, "Update", stack.second, stack.first)
    with killed_at(write):
        run(cluster.connection, "Update", stack.first, stack.second)
    run(cluster.connection, "Update", stack.first, stack.second)

    assert stack.state() == before


@pytest.mark.parametrize("write", range(WRITES))
def test_a_killed_delete_ends_when_it_is_tried_again(cluster: Rehearsed, write: int) -> None:
    stack = _Stack(cluster)
    before = stack.state()
    run(cluster.connection, "Create", stack.first)

    with killed_at(write):
        run(cluster.connection, "Delete", stack.first)
    run(cluster.connection, "Delete", stack.first)

    assert stack.state() == before


class _Stack:
    """Accounts of all kinds, in two versions of a stack."""

    def __init__(self, cluster: Rehearsed) -> None:
        self.cluster = cluster
        self.namespace = ns = cluster.namespace("killed")
        for name in ("plain", "other", "forced"):
            cluster.make_account(f"{ns}/{name}", labels={"team": "payments"})
        cluster.patch_account(
            f"{ns}/forced", {"annotations": {ROLE: FOREIGN}}, "argocd", APPLY_PATCH
        )
        cluster.make_deployment(f"{ns}/api", account="plain")
        run(cluster.connection, "Create", account(f"{ns}/moving"), logical_id="Batch1")
        self.first = {
            **account(f"{ns}/changed"),
            **account(f"{ns}/dropped"),
            **account(f"{ns}/released"),
            **account(f"{ns}/plain", "ADOPT", Restart=["*"]),
        }
        cluster.make_account(f"{ns}/released-too", labels={"team": "payments"})
        self.first |= account(f"{ns}/released-too", "ADOPT")
        self.second = {
            **account(f"{ns}/changed", role=TWO, labels={"more": "labels"}),
            **account(f"{ns}/released", "ADOPT", role=TWO),
            **account(f"{ns}/plain", "ADOPT", role=TWO, Restart=["*"]),
            **account(f"{ns}/other", "ADOPT"),
            **account(f"{ns}/forced", "ADOPT", Force="true"),
            **account(f"{ns}/moving", role=TWO),
            **account(f"{ns}/new", role=ONE),
        }

    def state(self) -> dict[str, Any]:
        """What users see: labels and annotations of all accounts, and the pods' role."""
        base = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        accounts = {
            found["metadata"]["name"]: (
                found["metadata"].get("labels", {}),
                found["metadata"].get("annotations", {}),
            )
            for found in self.cluster.admin.list(base)
        }
        api = self.cluster.admin.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/api")
        assert api
        return {"accounts": accounts, "template": restart.template_role(api)}
