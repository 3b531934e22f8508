"""Namespaces made on request, and removed when nothing else is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Failure, OutOfTime, log
from kubernetes_api.connection import FIELD_MANAGER, ApiError
from kubernetes_api.owner import MANAGED_BY, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner

_TERMINATING_POLL_SECONDS = 1.0
# Not what somebody put there: records of what happened, and what comes with every namespace.
_RECORDS = frozenset({"events"})
_STANDARD = frozenset({("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")})
# Names are enough.
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class Namespaces:
    """The namespaces of a cluster, and those that one event made."""

    def __init__(self, api: Api, owner: Owner) -> None:
        self._api = api
        self._owner = owner
        self._made: list[str] = []
        self._kinds: list[tuple[str, str]] | Failure | None = None

    @property
    def writes(self) -> int:
        """How many namespaces were made so far."""
        return len(self._made)

    def make(self, name: str) -> None:
        """Make a namespace that is missing, with our marks; wait for one that is going away."""
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {MANAGED_BY: FIELD_MANAGER},
                "annotations": {OWNER: self._owner.mark},
            },
        }
        if self._await_end(name):
            return
        self._made.append(name)
        try:
            self._api.create("/api/v1/namespaces", body)
        except ApiError as error:
            if not error.follows_silence:
                self._made.pop()
            if error.reason != "AlreadyExists":
                raise
            return
        log("made", namespace=name)

    def _await_end(self, name: str) -> bool:
        """Wait for a namespace that is going away. Returns whether there is one that is not."""
        found = None
        try:
            while found := self._api.get(_path(name)):
                if "deletionTimestamp" not in found["metadata"]:
                    return True
                log("waiting for the namespace to be gone", namespace=name)
                self._api.deadline.sleep(_TERMINATING_POLL_SECONDS)
        except OutOfTime as late:
            if not found:
                raise
            raise Failure(
                f"namespace {name} must be gone before it is made anew, got it ending since "
                f"{found['metadata']['deletionTimestamp']}; see what in it has finalizers"
            ) from late
        return False

    def is_gone(self, name: str) -> bool:
        """Whether there is no such namespace."""
        return self._api.get(_path(name)) is None

    def remove(self, name: str) -> None:
        """Remove a namespace that this stack made, when nothing else is in it."""
        found = self._api.get(_path(name))
        if found is None or not self._owner.made(found):
            return
        content = self._first_content(name)
        if content:
            log("namespace left alone", level="WARNING", namespace=name, because=content)
            return
        metadata = found["metadata"]
        self._api.delete(_path(name), uid=metadata["uid"])
        log("removed", namespace=name)

    def undo(self) -> list[str]:
        """Remove what was made, newest first. Returns what could not be, in words."""
        problems = []
        for name in reversed(self._made):
            try:
                self.remove(name)
            except Failure as failure:
                problems.append(f"namespace {name} could not be removed: {failure}")
        self._made.clear()
        return problems

    def _first_content(self, namespace: str) -> str | None:
        """The first thing found in a namespace, in words; None when it is empty.

        What cannot be listed counts as content: only a namespace known to be empty is empty.
        """
        try:
            with self._api.at_a_glance():
                for prefix, resource in self._listable_kinds():
                    path = f"{prefix}/namespaces/{namespace}/{resource}"
                    # The standard objects, and one more.
                    query = {"limit": str(len(_STANDARD) + 1)}
                    answer = self._api.request("GET", path, accept=_METADATA_ONLY, query=query)
                    for item in answer.get("items") or ():
                        if (resource, item["metadata"]["name"]) not in _STANDARD:
                            return f"it holds {resource} {item['metadata']['name']}"
        except Failure as failure:
            return f"not all of its content can be seen: {failure}"
        return None

    def _listable_kinds(self) -> list[tuple[str, str]]:
        """The kinds that a namespace may hold, asked for once: they are the same for all.

        Raises:
            Failure: Not all can be seen. One group whose server is gone is enough.
        """
        if self._kinds is None:
            try:
                self._kinds = list(_listable(self._api))
            except Failure as failure:
                self._kinds = failure
        if isinstance(self._kinds, Failure):
            raise self._kinds
        return self._kinds


def _listable(api: Api) -> Iterator[tuple[str, str]]:
    for prefix in _groups(api):
        for resource in api.request("GET", prefix)["resources"]:
            if _is_listable(resource):
                yield prefix, resource["name"]


def _groups(api: Api) -> Iterator[str]:
    yield "/api/v1"
    for group in api.request("GET", "/apis")["groups"]:
        yield f"/apis/{group['preferredVersion']['groupVersion']}"


def _is_listable(resource: dict[str, Any]) -> bool:
    name = resource["name"]
    listable = resource["namespaced"] and "list" in resource["verbs"]
    return listable and "/" not in name and name not in _RECORDS


def _path(name: str) -> str:
    return f"/api/v1/namespaces/{name}"
