"""Whether a namespace holds anything but what Kubernetes itself puts into every namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes_api.connection import Api

# Not what somebody put there: records of what happened, and what comes with every namespace.
_RECORDS = frozenset({"events"})
_STANDARD = frozenset({("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")})
# Names are enough.
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


def first_content(api: Api, namespace: str) -> str | None:
    """The first thing found in a namespace, in words; None when it is empty.

    What cannot be listed counts as content: only a namespace known to be empty is empty.
    """
    try:
        for prefix, resource in _listable(api):
            path = f"{prefix}/namespaces/{namespace}/{resource}"
            # The standard objects, and one more.
            query = {"limit": str(len(_STANDARD) + 1)}
            answer = api.request("GET", path, accept=_METADATA_ONLY, query=query)
            for item in answer.get("items") or ():
                if (resource, item["metadata"]["name"]) not in _STANDARD:
                    return f"it holds {resource} {item['metadata']['name']}"
    except Failure as failure:
        return f"not all of its content can be seen: {failure}"
    return None


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
