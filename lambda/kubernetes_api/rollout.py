"""How far a workload has rolled out its pod template, and what its rollout may cost. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Object = Mapping[str, Any]


@dataclass(frozen=True)
class Rollout:
    """A rollout as its controller reports it."""

    done: bool
    progress: str
    failure: str = ""


def rollout_of(workload: Object) -> Rollout:
    """How far a Deployment, StatefulSet or DaemonSet has come: what `kubectl rollout status` says.

    See: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
    """
    seen = workload.get("status", {}).get("observedGeneration", 0)
    if seen < workload["metadata"]["generation"]:
        return Rollout(done=False, progress="the controller has not seen it yet")
    match workload["kind"]:
        case "DaemonSet":
            return _daemon_set(workload)
        case "StatefulSet":
            return _stateful_set(workload)
        case _:
            return _deployment(workload)


def rolls_by_itself(workload: Object) -> str:
    """Why a change of the pod template replaces no pod by itself; empty when it does."""
    spec = workload["spec"]
    if spec.get("updateStrategy", {}).get("type") == "OnDelete":
        return "its update strategy is OnDelete: its pods change when somebody deletes them"
    if spec.get("paused"):
        return "it is paused: its pods change when it is resumed"
    return ""


def pods_taken_at_once(workload: Object) -> int:
    """How many pods the workload's own strategy lets a rollout take away at one time."""
    spec, status = workload["spec"], workload.get("status", {})
    if rolls_by_itself(workload):
        return 0
    daemons = workload["kind"] == "DaemonSet"
    pods = int(status.get("desiredNumberScheduled", 0) if daemons else spec.get("replicas", 1))
    if workload["kind"] != "Deployment":
        bound = spec.get("updateStrategy", {}).get("rollingUpdate", {}).get("maxUnavailable", 1)
        return min(pods, _share(bound, pods, up=True))
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate":
        return pods
    rolling = strategy.get("rollingUpdate", {})
    bound = _share(rolling.get("maxUnavailable", "25%"), pods, up=False)
    # With neither surge nor unavailability nothing could move: the controller then takes one.
    surge = _share(rolling.get("maxSurge", "25%"), pods, up=True)
    return min(pods, bound or (0 if surge else 1))


def budget_against(workload: Object, budgets: Iterable[Object], *, at_best: bool = False) -> str:
    """Which PodDisruptionBudget a rollout would break, in words; empty when none.

    The controllers that roll a workload out do not ask budgets (only evictions do), so we ask them.
    See: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/

    Args:
        workload: The workload to restart.
        budgets: The budgets of its namespace.
        at_best: Whether to count with all pods healthy instead of with those that are so now.
    """
    taken = pods_taken_at_once(workload)
    labels = workload["spec"]["template"].get("metadata", {}).get("labels") or {}
    for budget in budgets:
        status = budget.get("status", {})
        allowed = status.get("disruptionsAllowed", 0)
        if at_best:
            allowed = max(allowed, status.get("expectedPods", 0) - status.get("desiredHealthy", 0))
        if taken > allowed and _selects(budget["spec"].get("selector"), labels):
            return (
                f"its strategy may take {taken} of its pods away at once, and the "
                f"PodDisruptionBudget {budget['metadata']['name']} allows {allowed}"
            )
    return ""


def _daemon_set(workload: Object) -> Rollout:
    status = workload["status"]
    desired = status.get("desiredNumberScheduled", 0)
    updated = status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    progress = f"{updated} updated, {available} available of {desired}"
    return Rollout(done=updated >= desired and available >= desired, progress=progress)


def _stateful_set(workload: Object) -> Rollout:
    spec, status = workload["spec"], workload["status"]
    pods = spec.get("replicas", 1)
    partition = spec.get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    whole = not partition
    updated = status.get("updatedReplicas", 0)
    if status.get("currentRevision") == status.get("updateRevision"):
        updated = pods  # the controller counts nothing as updated once all is
    target = pods if whole else max(0, pods - partition)
    ready = status.get("readyReplicas", 0)
    progress = f"{min(updated, target)} updated, {ready} ready of {pods}"
    return Rollout(done=updated >= target and ready >= pods, progress=progress)


def _deployment(workload: Object) -> Rollout:
    status = workload["status"]
    pods = workload["spec"].get("replicas", 1)
    updated, every = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    stuck = [
        condition.get("message", "")
        for condition in status.get("conditions") or ()
        if condition.get("reason") == "ProgressDeadlineExceeded"
    ]
    return Rollout(
        done=updated >= pods and every <= updated and available >= updated,
        progress=f"{updated} updated, {available} available of {pods}",
        failure=stuck[0] if stuck else "",
    )


def _share(bound: int | str, pods: int, *, up: bool) -> int:
    if isinstance(bound, int):
        return bound
    share = pods * int(bound.removesuffix("%")) / 100
    return math.ceil(share) if up else math.floor(share)


def _selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    if selector is None:
        return False
    exact = selector.get("matchLabels") or {}
    return all(labels.get(k) == v for k, v in exact.items()) and all(
        _matches(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case _:
            return value is None
