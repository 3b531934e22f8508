"""The workloads that use a service account: restarted when, and only when, its role changes.

The annotation `irsa-stack/role-arn` on a pod template tells for which role its pods were restarted
last. A workload without it was deployed after its account, and got the role at once; unless the
account did not have it then. So an account that is given a role while such workloads use it has the
annotation `irsa-stack/restart-due`, in the same write, until they are restarted: a function that
comes after one that was killed knows that they are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from custom_resource import Failure, log
from kubernetes_api import restart
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.restart import await_rollouts, set_template_role, template_role
from kubernetes_api.rollout import budget_against, rolls_by_itself
from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION, keys_of
from service_accounts.binding import RESTART_DUE
from service_accounts.bindings import ALL_CONSUMERS, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.shared_keys import Object
    from service_accounts.binding import Binding

_BUDGET_POLL_SECONDS = 5.0
_KIND_NAMES = {
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
}


@dataclass(frozen=True)
class _Consumer:
    path: str
    workload: dict[str, Any]
    binding: Binding
    role: str | None
    # Whether the event is about it. A binding that does not change must not fail the event.
    is_insisted_on: bool = True


class Restarts:
    """The restarts of one event, remembered so that they can be undone."""

    def __init__(self, api: Api, timeout_seconds: float) -> None:
        self._api = api
        self._timeout_seconds = timeout_seconds
        self._done: list[_Consumer] = []

    @property
    def writes(self) -> int:
        """How many workloads were restarted so far."""
        return len(self._done)

    def due(
        self,
        bindings: Mapping[str, Binding],
        previous: Mapping[str, Binding],
        found: Mapping[str, Object],
    ) -> list[_Consumer]:
        """The consumers whose pods were made for another role than their account gets now.

        Args:
            bindings: The bindings asked for.
            previous: The bindings asked for before.
            found: The accounts as they are before the event.

        Raises:
            Failure: Restarting one for a changed role would break a PodDisruptionBudget whenever it
                is done.
        """
        due, faults = [], []
        renamed = {
            key: binding
            for key, binding in previous.items()
            if key in bindings and binding.restart != bindings[key].restart
        }
        named_before = {consumer.path for consumer in self._consumers(renamed.values())}
        for consumer in self._consumers(bindings.values()):
            key, role = consumer.binding.key, consumer.binding.role_arn
            # Whoever names a workload now, wants its older pods to take up the role, too.
            is_new = key in renamed and consumer.path not in named_before
            is_new = is_new and template_role(consumer.workload) is None
            if not (is_new or _is_due(consumer.workload, role, found.get(key))):
                continue
            insisted = key not in previous or previous[key].role_arn != role
            due.append(replace(consumer, is_insisted_on=insisted))
            broken = budget_against(consumer.workload, self._budgets(consumer), at_best=True)
            if broken and insisted:
                faults.append(f"{consumer.path} must stay within its budget, got: {broken}")
        if faults:
            raise Failure("; ".join(faults) + "; lower maxUnavailable, or run more replicas")
        return due

    def perform(self, due: list[_Consumer]) -> None:
        """Restart consumers, each when its PodDisruptionBudgets allow it, and wait for all."""
        if not due:
            return
        deadline = DeadlinePart(self._api.deadline, self._timeout_seconds)
        deadline.sleep(restart.WEBHOOK_WATCH_SECONDS)
        for consumer in due:
            if consumer.is_insisted_on:
                self._await_budget(consumer, deadline)
                self._restart(consumer)
            else:
                self._restart_if_allowed(consumer)
        awaited = [consumer.path for consumer in due if consumer.is_insisted_on]
        await_rollouts(self._api, awaited, deadline)

    def withdraw(self, binding: Binding, role: str | None) -> None:
        """Let the consumers of an account that we let go take up what it has now, in their time."""
        for consumer in self._consumers([binding]):
            if template_role(consumer.workload) == binding.role_arn:
                self._restart_if_allowed(replace(consumer, role=role))

    def undo(self) -> list[str]:
        """Put the pod templates back, newest first. Returns what could not be, in words."""
        problems = []
        for consumer in reversed(self._done):
            try:
                now = self._api.get(consumer.path)
                if not now or template_role(now) != consumer.role:
                    continue
                # A rollout that is stuck uses the budget up, and going back is what frees it.
                there = {**consumer.workload, **now}
                broken = budget_against(there, self._budgets(consumer), at_best=True)
                if broken:
                    problems.append(f"{consumer.path} was not restarted back: {broken}")
                else:
                    set_template_role(self._api, consumer.path, template_role(consumer.workload))
                    log("restart undone", workload=consumer.path)
            except Failure as failure:
                problems.append(f"{consumer.path} could not be restarted back: {failure}")
        self._done.clear()
        return problems

    def _restart(self, consumer: _Consumer) -> None:
        reason = rolls_by_itself(consumer.workload)
        if reason:
            log("not restarted", level="WARNING", workload=consumer.path, because=reason)
        self._done.append(consumer)
        set_template_role(self._api, consumer.path, consumer.role)
        log("restarting", workload=consumer.path, role=consumer.role)

    def _restart_if_allowed(self, consumer: _Consumer) -> None:
        """Restart if the budgets allow it now, else leave the pods as they are."""
        if broken := budget_against(consumer.workload, self._budgets(consumer)):
            log("not restarted", level="WARNING", workload=consumer.path, because=broken)
        else:
            self._restart(consumer)

    def _await_budget(self, consumer: _Consumer, deadline: DeadlinePart) -> None:
        while True:
            workload = self._api.get(consumer.path) or consumer.workload
            broken = budget_against(workload, self._budgets(consumer))
            if not broken:
                return
            log("waiting for a budget", workload=consumer.path, because=broken)
            try:
                deadline.sleep(_BUDGET_POLL_SECONDS)
            except Failure as late:
                raise Failure(
                    f"{consumer.path} must stay within its budget, got: {broken}; see why its pods "
                    "are not ready, or lower maxUnavailable"
                ) from late

    def _budgets(self, consumer: _Consumer) -> list[dict[str, Any]]:
        path = f"/apis/policy/v1/namespaces/{consumer.binding.namespace}/poddisruptionbudgets"
        return list(self._api.list(path))

    def _consumers(self, bindings: Iterable[Binding]) -> Iterator[_Consumer]:
        workloads: dict[str, dict[str, dict[str, Any]]] = {}
        for binding in bindings:
            if not binding.restart:
                continue
            if binding.namespace not in workloads:
                workloads[binding.namespace] = self._workloads(binding.namespace)
            there = workloads[binding.namespace]
            for path in _named(binding, there):
                yield _Consumer(path, there[path], binding, binding.role_arn)

    def _workloads(self, namespace: str) -> dict[str, dict[str, Any]]:
        return {
            f"{collection}/{workload['metadata']['name']}": {**workload, "kind": kind}
            for resource, kind in _KIND_NAMES.items()
            for collection in [f"/apis/apps/v1/namespaces/{namespace}/{resource}"]
            for workload in self._api.list(collection)
        }


def keys_of_unmarked(due: Iterable[_Consumer]) -> set[str]:
    """The accounts with consumers that do not tell themselves that their restart is due."""
    return {c.binding.key for c in due if template_role(c.workload) is None}


def _is_due(workload: Object, role: str, account: Object | None) -> bool:
    restarted_for = template_role(workload)
    if restarted_for is not None or account is None:
        return restarted_for != role
    annotations = keys_of(account)["annotations"]
    return annotations.get(ROLE_ARN_ANNOTATION) != role or RESTART_DUE in annotations


def _named(binding: Binding, workloads: dict[str, dict[str, Any]]) -> Iterator[str]:
    for target in dict.fromkeys(binding.restart):
        if target == ALL_CONSUMERS:
            yield from (path for path, w in workloads.items() if _account_of(w) == binding.name)
            continue
        kind, _, name = target.partition("/")
        path = f"/apis/apps/v1/namespaces/{binding.namespace}/{KINDS[kind]}/{name}"
        if path not in workloads:
            # Made later, its pods get the role at once.
            log("nothing to restart yet", workload=path)
        elif _account_of(workloads[path]) != binding.name:
            log("uses another account", level="WARNING", workload=path, account=binding.key)
        else:
            yield path


def _account_of(workload: dict[str, Any]) -> str:
    pod = workload["spec"]["template"]["spec"]
    return str(pod.get("serviceAccountName") or pod.get("serviceAccount") or "default")
