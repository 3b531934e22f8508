"""Binds and releases the accounts of one custom resource: all that is asked for, or nothing."""

from __future__ import annotations

import http
import traceback
from typing import TYPE_CHECKING, Any

from custom_resource import Failure, listed, log
from kubernetes_api.connection import ApiError, Unreachable
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION, keys_of
from service_accounts.accounts import Accounts
from service_accounts.binding import ADOPT
from service_accounts.binding_plan import Verb, decide
from service_accounts.consumers import Restarts, keys_of_unmarked
from service_accounts.namespaces import Namespaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner
    from service_accounts.binding import Binding

    Bindings = Mapping[str, Binding]

_UNDO_SECONDS = 90.0
# Between two looks of a release whose creation may still run.
LOOK_AGAIN_SECONDS = 5.0
# What was written is looked at so often, with a pause behind each look that finds a change.
_LOOKS = 3
_LOOK_PAUSE_SECONDS = 1.0


class Binder:
    """What one event does to a cluster."""

    def __init__(self, api: Api, owner: Owner, rollout_seconds: float) -> None:
        self._api = api
        self._owner = owner
        self._accounts = Accounts(api, owner)
        self._namespaces = Namespaces(api, owner)
        self._restarts = Restarts(api, rollout_seconds)

    def bind(self, wanted: Bindings, previous: Bindings) -> list[str]:
        """Bring all accounts from what was asked for to what is. Returns those left alone.

        Raises:
            Failure: One cannot be, and what was done is undone.
        """
        part = DeadlinePart.keeping(self._api.deadline, _UNDO_SECONDS)
        try:
            with self._api.until(part):
                return self._bind(wanted, previous)
        except Exception as error:
            # Accounts first: pods that are made anew must find them as they were.
            wrote = self._accounts.writes or self._restarts.writes or self._namespaces.writes
            problems = [
                *self._accounts.undo(),
                *self._restarts.undo(),
                *self._namespaces.undo(),
            ]
            if not isinstance(error, Failure):
                raise
            if wrote and not problems:
                problems = ["everything done before was undone"]
            raise Failure("; ".join([str(error), *problems])) from error

    def release(self, previous: Bindings, *, may_be_bound_meanwhile: bool = False) -> None:
        """Release all accounts, as many as can be; a second try does the rest.

        Args:
            previous: The bindings.
            may_be_bound_meanwhile: Whether an event that binds them may still run. Then it is done
                until two looks, some seconds apart, find nothing to do.

        Raises:
            Failure: Some could not be.
        """
        problems: list[str] = []
        idle = 0
        while idle < (2 if may_be_bound_meanwhile else 1):
            before = self._accounts.writes
            problems = self._released(previous)
            idle = 0 if self._accounts.writes > before else idle + 1
            if problems or not may_be_bound_meanwhile:
                break
            self._api.deadline.sleep(LOOK_AGAIN_SECONDS)
        for namespace in _namespaces_to_remove({}, previous):
            self._namespaces.remove(namespace)
        if problems:
            raise Failure(listed(problems))

    def _released(self, previous: Bindings) -> list[str]:
        """Release what is bound. Returns what could not be, in words."""
        problems: list[str] = []
        for namespace in dict.fromkeys(binding.namespace for binding in previous.values()):
            bindings = {k: b for k, b in previous.items() if b.namespace == namespace}
            try:
                found = self._accounts.found(bindings)
                problems += self._brought_back(bindings, found)
                self._restart_released(bindings)
            except Unreachable:
                raise
            except Failure as failure:
                if not self._is_gone(namespace, failure):
                    problems.append(str(failure))
        return problems

    def _brought_back(self, bindings: Bindings, found: Mapping[str, Any]) -> list[str]:
        problems: list[str] = []
        for key, binding in bindings.items():
            try:
                self._accounts.bring(key, None, binding, found.get(key))
            except Unreachable:
                raise
            except Failure as failure:
                problems.append(str(failure))
            except Exception as error:  # noqa: BLE001 - whatever is written on one account
                log("the work broke", level="ERROR", traceback=traceback.format_exc())
                problems.append(
                    f"{key}: unexpected {type(error).__name__}, see this function's log"
                )
        return problems

    def _is_gone(self, namespace: str, failure: Failure) -> bool:
        """Whether a namespace that we are not let into is gone, and our access with it."""
        if not isinstance(failure, ApiError) or failure.status != http.HTTPStatus.FORBIDDEN:
            return False
        try:
            with self._api.at_a_glance():
                return self._namespaces.is_gone(namespace)
        except ApiError:
            return False

    def _bind(self, wanted: Bindings, previous: Bindings) -> list[str]:
        # The access entry may have shrunk before us: on an update that removes the last account of
        # a namespace, and on the rollback of one that added the first. The latter must not fail.
        left = {b.namespace for b in previous.values()} - {b.namespace for b in wanted.values()}
        found = self._accounts.found([*wanted, *previous], left_behind=left)
        plan = {
            key: decide(binding, previous.get(key), found.get(key), self._owner)
            for key, binding in wanted.items()
        }
        refusals = [step.reason for step in plan.values() if step.verb is Verb.REFUSE]
        if refusals:
            raise Failure(listed(refusals))
        left_alone = [key for key, step in plan.items() if step.verb is Verb.LEAVE]
        bound = {key: binding for key, binding in wanted.items() if key not in left_alone}
        due = self._restarts.due(bound, previous, found)
        marked = {key: bound[key].with_restart_due for key in keys_of_unmarked(due)}
        for namespace in dict.fromkeys(b.namespace for b in bound.values() if b.create_namespace):
            self._namespaces.make(namespace)
        for key, binding in wanted.items():
            asked, before = marked.get(key, binding), previous.get(key)
            before = asked if before == binding else before
            self._accounts.bring(key, asked, before, found.get(key))
        self._restarts.perform(due)
        self._unmark({key: bound[key] for key in marked})
        dropped = {key: binding for key, binding in previous.items() if key not in wanted}
        for key, binding in dropped.items():
            self._accounts.bring(key, None, binding, found.get(key))
        self._restart_released({key: dropped[key] for key in dropped if key in found})
        self._look_again(bound)
        for namespace in _namespaces_to_remove(wanted, previous):
            self._remove_or_leave(namespace)
        log("bound", accounts=len(bound), left_alone=left_alone, writes=self._accounts.writes)
        return left_alone

    def _look_again(self, bound: Bindings) -> None:
        """See that what was written still holds: another event, or somebody, may work on it too.

        Raises:
            Failure: An account is changed each time.
        """
        written = {key: bound[key] for key in self._accounts.written if key in bound}
        for look in range(_LOOKS):
            found = self._accounts.found(written)
            changed = [
                key
                for key, binding in written.items()
                if decide(binding, binding, found.get(key), self._owner).verb is not Verb.NOTHING
            ]
            if not changed:
                return
            log("changed since", level="WARNING", accounts=changed)
            for key in changed if look < _LOOKS - 1 else ():
                self._accounts.bring(key, written[key], written[key], found.get(key))
            self._api.deadline.sleep(_LOOK_PAUSE_SECONDS)
        raise Failure(
            f"{listed(changed, ', ')} must keep what was written, got it changed each time; see "
            "who does that"
        )

    def _unmark(self, restarted: Bindings) -> None:
        for key, account in self._accounts.found(restarted).items():
            self._accounts.bring(key, restarted[key], restarted[key], account)

    def _remove_or_leave(self, namespace: str) -> None:
        """Remove a namespace, unless we are no longer let near it: see `left` above."""
        try:
            self._namespaces.remove(namespace)
        except ApiError as error:
            if error.status != http.HTTPStatus.FORBIDDEN:
                raise
            log("namespace left behind", level="WARNING", namespace=namespace, said=str(error))

    def _restart_released(self, released: Bindings) -> None:
        # Pods of an account that is gone are left as they are: without it none could be made.
        restarting = {
            key: binding
            for key, binding in released.items()
            if binding.restart and binding.ownership == ADOPT
        }
        for key, account in self._accounts.found(restarting).items():
            role = keys_of(account)["annotations"].get(ROLE_ARN_ANNOTATION)
            if role != restarting[key].role_arn:
                self._restarts.withdraw(restarting[key], role)


def _namespaces_to_remove(wanted: Bindings, previous: Bindings) -> list[str]:
    kept = {binding.namespace for binding in wanted.values()}
    asked = (b.namespace for b in previous.values() if b.create_namespace)
    return [namespace for namespace in dict.fromkeys(asked) if namespace not in kept]
