"""How far a rollout is, and what it may cost: from the objects alone."""

from __future__ import annotations

from typing import Any

import pytest

from kubernetes_api.rollout import budget_against, pods_taken_at_once, rollout_of, rolls_by_itself

APP = {"app": "api"}


def _workload(kind: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": APP}, "spec": {}}
    return {
        "kind": kind,
        "metadata": {"generation": 2},
        "spec": {"template": template, **spec},
        "status": {"observedGeneration": 2, **status},
    }


def _daemons(desired: int, updated: int, available: int, **spec: Any) -> dict[str, Any]:
    status = {
        "desiredNumberScheduled": desired,
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
    }
    return _workload("DaemonSet", status, **spec)


def _deployment(updated: int, every: int, available: int, **spec: Any) -> dict[str, Any]:
    status = {"updatedReplicas": updated, "replicas": every, "availableReplicas": available}
    return _workload("Deployment", status, **{"replicas": 3, **spec})


def _stateful(updated: int, ready: int, *, same: bool, **spec: Any) -> dict[str, Any]:
    status = {"updatedReplicas": updated, "readyReplicas": ready, "currentRevision": "1"}
    revision = {"updateRevision": "1" if same else "2"}
    return _workload("StatefulSet", {**status, **revision}, **{"replicas": 3, **spec})


@pytest.mark.parametrize(
    ("workload", "done"),
    [
        (_daemons(3, 3, 3), True),
        (_daemons(3, 2, 3), False),
        (_daemons(3, 3, 2), False),
        (_daemons(0, 0, 0), True),
        (_deployment(3, 3, 3), True),
        (_deployment(2, 3, 3), False),
        (_deployment(3, 4, 3), False),
        (_deployment(3, 3, 2), False),
        (_stateful(0, 3, same=True), True),
        (_stateful(0, 2, same=True), False),
        (_stateful(3, 3, same=False), True),
        (_stateful(2, 3, same=False), False),
        (
            _stateful(2, 3, same=False, updateStrategy={"rollingUpdate": {"partition": 1}}),
            True,
        ),
    ],
)
def test_a_rollout_is_done_when_all_pods_are_new_and_available(
    workload: dict[str, Any],
    done: bool,  # noqa: FBT001
) -> None:
    assert rollout_of(workload).done is done


def test_a_status_of_before_does_not_count() -> None:
    workload = _daemons(3, 3, 3)
    workload["status"]["observedGeneration"] = 1

    assert not rollout_of(workload).done


def test_a_deployment_that_gave_up_is_a_failure() -> None:
    workload = _deployment(1, 3, 2)
    workload["status"]["conditions"] = [
        {"reason": "ProgressDeadlineExceeded", "message": "has timed out progressing"}
    ]

    assert rollout_of(workload).failure == "has timed out progressing"


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        (_daemons(1, 1, 1), ""),
        (_daemons(1, 1, 1, updateStrategy={"type": "OnDelete"}), "OnDelete"),
        (_deployment(1, 1, 1, paused=True), "paused"),
    ],
)
def test_tells_why_a_workload_restarts_nothing(workload: dict[str, Any], told: str) -> None:
    assert told in rolls_by_itself(workload)
    assert bool(rolls_by_itself(workload)) is bool(told)


@pytest.mark.parametrize(
    ("workload", "taken"),
    [
        (_deployment(3, 3, 3), 0),
        (_deployment(8, 8, 8, replicas=8), 2),
        (_deployment(3, 3, 3, strategy={"type": "Recreate"}), 3),
        (
            _deployment(3, 3, 3, strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}),
            1,
        ),
        (_deployment(3, 3, 3, strategy={"rollingUpdate": {"maxUnavailable": 2}}), 2),
        (_deployment(3, 3, 3, paused=True), 0),
        (_stateful(3, 3, same=True), 1),
        (_daemons(30, 30, 30), 1),
        (_daemons(30, 30, 30, updateStrategy={"rollingUpdate": {"maxUnavailable": "10%"}}), 3),
    ],
)
def test_counts_the_pods_that_a_strategy_takes_at_once(
    workload: dict[str, Any], taken: int
) -> None:
    assert pods_taken_at_once(workload) == taken


def _budget(allowed: int, **selector: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "budget"},
        "spec": {"selector": selector} if selector else {},
        "status": {"disruptionsAllowed": allowed, "expectedPods": 3, "desiredHealthy": 2},
    }


@pytest.mark.parametrize(
    ("budget", "broken"),
    [
        (_budget(0, matchLabels=APP), True),
        (_budget(1, matchLabels=APP), False),
        (_budget(0, matchLabels={"app": "other"}), False),
        (_budget(0), False),
        (_budget(0, matchExpressions=[{"key": "app", "operator": "Exists"}]), True),
        (_budget(0, matchExpressions=[{"key": "app", "operator": "DoesNotExist"}]), False),
        (
            _budget(0, matchExpressions=[{"key": "app", "operator": "In", "values": ["api"]}]),
            True,
        ),
        (
            _budget(0, matchExpressions=[{"key": "app", "operator": "NotIn", "values": ["api"]}]),
            False,
        ),
    ],
)
def test_finds_the_budget_that_a_rollout_would_break(
    budget: dict[str, Any],
    broken: bool,  # noqa: FBT001
) -> None:
    assert bool(budget_against(_stateful(3, 3, same=True), [budget])) is broken


def test_at_best_all_pods_are_healthy() -> None:
    assert not budget_against(
        _stateful(3, 3, same=True), [_budget(0, matchLabels=APP)], at_best=True
    )
