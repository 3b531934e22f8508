"""Releases the accounts of one custom resource, as many as can be.

Each namespace, and each account, is a try of its own: what one of them refuses keeps no other.
"""

from __future__ import annotations

import http
import traceback
from typing import TYPE_CHECKING, Any

from custom_resource import Failure, listed, log
from kubernetes_api.connection import ApiError, Unreachable
from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION, keys_of
from service_accounts.accounts import Accounts
from service_accounts.binding import ADOPT
from service_accounts.consumers import Restarts
from service_accounts.namespaces import Namespaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner
    from service_accounts.binding import Binding

    Bindings = Mapping[str, Binding]

# Between two looks of a release whose creation may still run.
LOOK_AGAIN_SECONDS = 5.0


class Release:
    """What a Delete does to a cluster."""

    def __init__(self, api: Api, owner: Owner) -> None:
        self._api = api
        self._accounts = Accounts(api, owner)
        self._namespaces = Namespaces(api, owner)
        self._restarts = Restarts(api, 0.0)

    def perform(self, previous: Bindings, *, may_be_bound_meanwhile: bool = False) -> None:
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
        for namespace in namespaces_to_remove({}, previous):
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
                restart_released(self._accounts, self._restarts, bindings)
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


def restart_released(accounts: Accounts, restarts: Restarts, released: Bindings) -> None:
    """Let workloads take up what accounts have now that we let go."""
    # Pods of an account that is gone are left as they are: without it none could be made.
    restarting = {
        key: binding
        for key, binding in released.items()
        if binding.restart and binding.ownership == ADOPT
    }
    for key, account in accounts.found(restarting).items():
        role = keys_of(account)["annotations"].get(ROLE_ARN_ANNOTATION)
        if role != restarting[key].role_arn:
            restarts.withdraw(restarting[key], role)


def namespaces_to_remove(wanted: Bindings, previous: Bindings) -> list[str]:
    """The namespaces that were made for accounts none of which is asked for any more."""
    kept = {binding.namespace for binding in wanted.values()}
    asked = (b.namespace for b in previous.values() if b.create_namespace)
    return [namespace for namespace in dict.fromkeys(asked) if namespace not in kept]
