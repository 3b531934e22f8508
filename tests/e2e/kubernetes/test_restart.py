"""Consumers restart when, and only when, the role of their account changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from custom_resource import Failure
from kubernetes_api import restart
from service_accounts import consumers
from service_accounts.binding import RESTART_DUE
from tests.support.binder import ONE, ROLE, TWO, account, run
from tests.support.interruption import killed_at

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "_BUDGET_POLL_SECONDS", 0.2)
    monkeypatch.setattr(restart, "_POLL_SECONDS", 0.1)


def test_restarts_all_consumers_and_no_other_workload(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    api = cluster.make_deployment(f"{ns}/api", account="app")
    other = cluster.make_deployment(f"{ns}/other", account="default")

    run(cluster.connection, "Create", account(f"{ns}/app", Restart=["*"]))

    assert cluster.template_role(api) == ONE
    assert cluster.template_role(other) is None
    assert ONE in {
        pod["metadata"].get("annotations", {}).get(restart.TEMPLATE_ROLE)
        for pod in cluster.pods(ns)
    }


def test_does_not_restart_for_the_same_role(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    cluster.make_deployment(f"{ns}/api", account="app")
    asked = account(f"{ns}/app", Restart=["deployment/api"])
    run(cluster.connection, "Create", asked)
    start = cluster.audit_position()

    run(cluster.connection, "Update", asked, asked)

    assert cluster.writes(start) == []


def test_restarts_once_for_another_role(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    cluster.make_deployment(f"{ns}/api", account="app")
    one = account(f"{ns}/app", Restart=["deployment/api"])
    two = account(f"{ns}/app", role=TWO, Restart=["deployment/api"])
    run(cluster.connection, "Create", one)
    start = cluster.audit_position()

    run(cluster.connection, "Update", two, one)

    assert cluster.writes(start) == [
        ("patch", "serviceaccounts", "app"),
        ("patch", "deployments", "api"),
    ]


def test_a_workload_that_was_made_after_its_account_is_not_restarted(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    asked = account(f"{ns}/app", Restart=["deployment/api"])
    run(cluster.connection, "Create", asked)
    cluster.make_deployment(f"{ns}/api", account="app", strategy={"type": "Recreate"})
    cluster.make_budget(f"{ns}/api", minAvailable=1)
    start = cluster.audit_position()

    run(cluster.connection, "Update", {**asked, **account(f"{ns}/other")}, asked)
    run(cluster.connection, "Update", asked, {**asked, **account(f"{ns}/other")})

    assert cluster.writes(start) == [
        ("create", "serviceaccounts", "other"),
        ("delete", "serviceaccounts", "other"),
    ]


@pytest.mark.parametrize("ownership", ["CREATE", "ADOPT"])
@pytest.mark.parametrize("write", range(3))
def test_a_change_of_role_that_was_killed_restarts_when_it_is_tried_again(
    cluster: Rehearsed, ownership: str, write: int
) -> None:
    ns = cluster.namespace("restart")
    if ownership == "ADOPT":
        cluster.make_account(f"{ns}/app")
    one = account(f"{ns}/app", ownership, Restart=["*"])
    two = account(f"{ns}/app", ownership, role=TWO, Restart=["*"])
    run(cluster.connection, "Create", one)
    path = cluster.make_deployment(f"{ns}/api", account="app")

    with killed_at(write):
        run(cluster.connection, "Update", two, one)
    run(cluster.connection, "Update", two, one)

    found = cluster.account(f"{ns}/app")
    assert found
    assert cluster.template_role(path) == TWO
    assert found["metadata"]["annotations"][ROLE] == TWO
    assert RESTART_DUE not in found["metadata"]["annotations"]


def test_a_workload_that_does_not_exist_yet_is_no_failure(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")

    answer = run(cluster.connection, "Create", account(f"{ns}/app", Restart=["daemonset/agent"]))

    assert answer.data["Bound"] == "1"


def test_a_stuck_rollout_fails_names_the_workload_and_is_undone(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    stuck = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
    path = cluster.make_deployment(f"{ns}/api", account="app", pod=stuck)

    with pytest.raises(Failure, match=r"deployments/api \(.*0 available of 1") as failed:
        run(
            cluster.connection,
            "Create",
            account(f"{ns}/app", Restart=["*"]),
            RolloutTimeoutSeconds="1",
        )

    assert "everything done before was undone" in str(failed.value)
    assert cluster.account(f"{ns}/app") is None
    assert cluster.template_role(path) is None


def test_refuses_a_restart_that_no_budget_allows_before_writing(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    cluster.make_account(f"{ns}/app")
    recreate = {"strategy": {"type": "Recreate"}}
    cluster.make_deployment(f"{ns}/api", account="app", replicas=2, **recreate)
    cluster.make_budget(f"{ns}/api", minAvailable=1)
    start = cluster.audit_position()

    with pytest.raises(Failure, match=r"may take 2 .* PodDisruptionBudget api allows 1"):
        run(cluster.connection, "Create", account(f"{ns}/app", "ADOPT", Restart=["*"]))

    assert cluster.writes(start) == []


def test_restarts_within_a_budget(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    cluster.make_account(f"{ns}/app")
    path = cluster.make_deployment(f"{ns}/api", account="app", replicas=2)
    cluster.make_budget(f"{ns}/api", minAvailable=2)

    run(cluster.connection, "Create", account(f"{ns}/app", "ADOPT", Restart=["*"]))

    assert cluster.template_role(path) == ONE


def test_consumers_of_an_adopted_account_restart_when_it_is_let_go(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    cluster.make_account(f"{ns}/app")
    path = cluster.make_deployment(f"{ns}/api", account="app")
    asked = account(f"{ns}/app", "ADOPT", Restart=["*"])
    run(cluster.connection, "Create", asked)

    run(cluster.connection, "Delete", asked)

    assert cluster.template_role(path) is None


def test_two_rollouts_are_waited_for_at_once(cluster: Rehearsed) -> None:
    ns = cluster.namespace("restart")
    cluster.make_account(f"{ns}/app")
    for name in ("api", "worker"):
        cluster.make_deployment(f"{ns}/{name}", account="app")
    began = time.monotonic()

    run(cluster.connection, "Create", account(f"{ns}/app", "ADOPT", Restart=["*"]))

    assert time.monotonic() - began < 30
