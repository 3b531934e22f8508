"""Binds the accounts of one custom resource: all that is asked for, or nothing."""

from __future__ import annotations

import http
import random
from typing import TYPE_CHECKING

from custom_resource import Failure, listed, log
from kubernetes_api.connection import ApiError
from kubernetes_api.deadline_part import DeadlinePart
from service_accounts.accounts import Accounts
from service_accounts.binding_plan import Verb, decide
from service_accounts.consumers import Restarts, keys_of_unmarked
from service_accounts.namespaces import Namespaces
from service_accounts.release import namespaces_to_remove, restart_released

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner
    from service_accounts.binding import Binding

    Bindings = Mapping[str, Binding]

_UNDO_SECONDS = 90.0
# What was written is looked at so often, with a pause before what has changed is brought again. It
# is by chance and grows: of two events that overlap one must come to the end of it alone.
_LOOKS = 6
_LOOK_PAUSE_SECONDS = 2.0


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
        restart_released(
            self._accounts, self._restarts, {key: dropped[key] for key in dropped if key in found}
        )
        self._look_again(bound)
        for namespace in namespaces_to_remove(wanted, previous):
            self._remove_or_leave(namespace)
        log("bound", accounts=len(bound), left_alone=left_alone, writes=self._accounts.writes)
        return left_alone

    def _look_again(self, bound: Bindings) -> None:
        """See that what was written still holds: another event, or somebody, may work on it too.

        Raises:
            Failure: An account is changed each time.
        """
        # All of them: another event may have begun with those that were right before.
        written = bound if self._accounts.writes else {}
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
            self._api.deadline.sleep(random.uniform(0, _LOOK_PAUSE_SECONDS * 2**look))  # noqa: S311
            for key in changed if look < _LOOKS - 1 else ():
                self._accounts.bring(key, written[key], written[key], found.get(key))
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
