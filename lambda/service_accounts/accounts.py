"""Steps on service accounts, remembered so that they can be undone."""

from __future__ import annotations

import http
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from custom_resource import Failure, OutOfTime, log
from kubernetes_api.connection import ApiError, Conflict
from kubernetes_api.deadline_part import DeadlinePart
from service_accounts.binding_plan import Verb, decide, undo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner
    from service_accounts.binding import Binding
    from service_accounts.binding_plan import Step

# How long an object that changes each time before we write is fought for, and one that is being
# deleted is waited for.
FIGHT_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
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
    step: Step


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
            if namespace not in left_behind:
                found |= self._found_in(namespace, keys)
                continue
            try:
                with self._api.at_a_glance("settling"):
                    found |= self._found_in(namespace, keys)
            except ApiError as error:
                if error.status != http.HTTPStatus.FORBIDDEN:
                    raise
                log("accounts left behind", level="WARNING", namespace=namespace, said=str(error))
        return found

    def _found_in(self, namespace: str, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        return {
            key: account
            for account in self._api.list(_collection(namespace))
            if (key := f"{namespace}/{account['metadata']['name']}") in keys
        }

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
        deadline = DeadlinePart(self._api.deadline, FIGHT_SECONDS)
        while True:
            step = decide(wanted, previous, found, self._owner)
            if step.verb is Verb.REFUSE:
                raise Failure(step.reason)
            if step.verb is Verb.LEAVE:
                log("left alone", level="WARNING", account=key, reason=step.reason)
                return
            problem = _ending(key, found) if wanted else None
            problem = problem or self._performed(key, step, found)
            if problem is None:
                return
            try:
                deadline.sleep(_PAUSE_SECONDS)
            except OutOfTime:
                raise problem from None
            found = self._api.get(_path(key))

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
        deadline = DeadlinePart(self._api.deadline, FIGHT_SECONDS)
        while True:
            now = self._api.get(_path(change.key))
            step = undo(change.before, change.step, now)
            try:
                self._write(change.key, step)
            except ApiError as error:
                if not _was_outdated(error):
                    raise
                try:
                    deadline.sleep(_PAUSE_SECONDS)
                except OutOfTime:
                    raise error from None
            else:
                log("undone", account=change.key, verb=step.verb.value)
                break
        if change.step.verb is Verb.DELETE and now:
            ends = now["metadata"].get("deletionTimestamp")
            if ends:
                raise Failure(f"its deletion is under way since {ends}, and cannot be stopped")

    def _performed(self, key: str, step: Step, found: dict[str, Any] | None) -> ApiError | None:
        """Do a step; the refusal of one that must be decided anew.

        It is remembered before it is sent, and forgotten only when it was surely not done.
        """
        if step.verb is Verb.NOTHING:
            return None
        self._changes.append(_Change(key, found, step))
        try:
            self._write(key, step)
        except ApiError as error:
            if not error.follows_silence:
                self._changes.pop()
            if not _was_outdated(error):
                raise
            return error
        log(_DONE[step.verb], account=key)
        return None

    def _write(self, key: str, step: Step) -> None:
        match step.verb:
            case Verb.CREATE:
                self._create(key.partition("/")[0], step.body)
            case Verb.APPLY:
                self._api.apply(_path(key), step.body, force=step.force)
            case Verb.PATCH:
                self._api.merge(_path(key), step.body)
            case Verb.DELETE:
                guards = step.body
                self._api.delete(
                    _path(key), uid=guards["uid"], resource_version=guards["resourceVersion"]
                )

    def _create(self, namespace: str, body: Mapping[str, Any]) -> None:
        try:
            self._api.create(_collection(namespace), body)
        except ApiError as error:
            if _lacks_namespace(error):
                raise Failure(
                    f"namespace must exist before its service accounts, got {error.said!r}; let"
                    " whoever owns it make it first, or set create_namespace"
                ) from None
            raise


def _ending(key: str, found: dict[str, Any] | None) -> Failure | None:
    ends = found and found["metadata"].get("deletionTimestamp")
    if not ends:
        return None
    return Failure(
        f"{key} must stay, got it deleted at {ends} and held by its finalizers; see what they wait "
        "for, then deploy again"
    )


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
