"""Steps on service accounts, remembered so that they can be undone."""

from __future__ import annotations

import http
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from custom_resource import Failure, log
from kubernetes_api.connection import ApiError, Conflict
from service_accounts.binding_plan import Verb, decide, undo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner
    from service_accounts.binding import Binding
    from service_accounts.binding_plan import Step

# An object that changes under our hands this often is fought over.
_READINGS = 6
_DONE = {
    Verb.CREATE: "made",
    Verb.APPLY: "applied",
    Verb.PATCH: "patched",
    Verb.DELETE: "deleted",
}


@dataclass(frozen=True)
class _Change:
    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Accounts:
    """The service accounts of a cluster, and what one event does to them."""

    def __init__(self, api: Api, owner: Owner) -> None:
        self._api = api
        self._owner = owner
        self._changes: list[_Change] = []

    @property
    def writes(self) -> int:
        """How many objects were written so far."""
        return len(self._changes)

    def found(
        self, keys: Iterable[str], *, left_behind: Collection[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """The service accounts that exist, read with one list a namespace.

        Args:
            keys: The accounts to look for, as `<namespace>/<name>`.
            left_behind: Namespaces that we need not be let into any more; then none is found there.
        """
        keys = set(keys)
        found: dict[str, dict[str, Any]] = {}
        for namespace in sorted({key.partition("/")[0] for key in keys}):
            try:
                for account in self._api.list(_collection(namespace)):
                    key = f"{namespace}/{account['metadata']['name']}"
                    if key in keys:
                        found[key] = account
            except ApiError as error:
                if error.status != http.HTTPStatus.FORBIDDEN or namespace not in left_behind:
                    raise
                log("accounts left behind", level="WARNING", namespace=namespace, said=str(error))
        return found

    def bring(
        self,
        key: str,
        wanted: Binding | None,
        previous: Binding | None,
        found: dict[str, Any] | None,
    ) -> None:
        """Bring one account to what is asked for; decides anew when it changes meanwhile.

        Raises:
            Failure: It is refused, by the plan or by Kubernetes.
        """
        for reading in range(1, _READINGS + 1):
            step = decide(wanted, previous, found, self._owner)
            if step.verb is Verb.REFUSE:
                raise Failure(step.reason)
            if step.verb is Verb.LEAVE:
                log("left alone", level="WARNING", account=key, reason=step.reason)
            try:
                self._perform(key, step, found)
            except ApiError as error:
                if not _was_outdated(error) or reading == _READINGS:
                    raise
                found = self._api.get(_path(key))
                self._api.deadline.sleep(0.05 * reading)
            else:
                return
        raise AssertionError  # pragma: no cover - the last reading returns or raises

    def undo(self) -> list[str]:
        """Undo all changes, newest first. Returns what could not be undone, in words."""
        problems: list[str] = []
        for change in reversed(self._changes):
            try:
                self._undo(change)
            except Failure as failure:
                problems.append(f"{change.key} could not be put back: {failure}")
        self._changes.clear()
        return problems

    def _undo(self, change: _Change) -> None:
        for reading in range(1, _READINGS + 1):
            now = self._api.get(_path(change.key))
            step = undo(change.before, change.after, now)
            try:
                self._write(change.key, step)
            except ApiError as error:
                if not _was_outdated(error) or reading == _READINGS:
                    raise
            else:
                log("undone", account=change.key, verb=step.verb.value)
                return

    def _perform(self, key: str, step: Step, found: dict[str, Any] | None) -> None:
        if step.verb in (Verb.NOTHING, Verb.LEAVE):
            return
        after = self._write(key, step)
        self._changes.append(_Change(key, found, after))
        log(_DONE[step.verb], account=key)

    def _write(self, key: str, step: Step) -> dict[str, Any] | None:
        match step.verb:
            case Verb.CREATE:
                return self._create(key.partition("/")[0], step.body)
            case Verb.APPLY:
                return self._api.apply(_path(key), step.body, force=step.force)
            case Verb.PATCH:
                return self._api.merge(_path(key), step.body)
            case Verb.DELETE:
                guards = step.body
                self._api.delete(
                    _path(key), uid=guards["uid"], resource_version=guards["resourceVersion"]
                )
        return None

    def _create(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._api.create(_collection(namespace), body)
        except ApiError as error:
            if _lacks_namespace(error):
                raise Failure(
                    f"namespace must exist before its service accounts, got {error.said!r}; let"
                    " whoever owns it make it first, or set create_namespace"
                ) from None
            raise


def _lacks_namespace(error: ApiError) -> bool:
    return error.status == http.HTTPStatus.NOT_FOUND and "namespaces " in error.said


def _was_outdated(error: ApiError) -> bool:
    """Whether the object was made, changed or removed since it was read."""
    gone = error.status == http.HTTPStatus.NOT_FOUND and not _lacks_namespace(error)
    return isinstance(error, Conflict) or error.reason == "AlreadyExists" or gone


def _collection(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts"


def _path(key: str) -> str:
    namespace, _, name = key.partition("/")
    return f"{_collection(namespace)}/{name}"
