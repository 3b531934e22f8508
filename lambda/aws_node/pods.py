"""What the specs and states of `aws-node`'s pods say. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Object = Mapping[str, Any]

ROLE_VARIABLE = "AWS_ROLE_ARN"
TOKEN_VARIABLE = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105 - a variable's name
_ASSOCIATION_VARIABLE = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_READ = frozenset({ROLE_VARIABLE, TOKEN_VARIABLE, _ASSOCIATION_VARIABLE})


def pods_of(daemon_set: Object, pods: Iterable[Object]) -> list[Object]:
    """Of the namespace's pods those of the DaemonSet, each less what nobody here reads."""
    uid = daemon_set["metadata"]["uid"]
    return [
        _essence(pod)
        for pod in pods
        if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())
    ]


def running(pods: Iterable[Object]) -> list[Object]:
    """The pods less those that end or have ended."""
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")
    ]


def pods_ending(pods: Iterable[Object], now: dt.datetime) -> list[str]:
    """The pods that should have ended by now, each with its node: mostly, that is down."""
    return [
        f"{_told(pod)}: should have ended at {ends}; repair or remove the node"
        for pod in pods
        if (ends := pod["metadata"].get("deletionTimestamp"))
        and dt.datetime.fromisoformat(ends) < now
    ]


def is_of_template(pod: Object, template: Object, marks: Iterable[str]) -> bool:
    """Whether the pod was made of the pod template as it is now, by the annotations that changed.

    A DaemonSet's own count of updated pods is late: a pod may have been made since.
    """
    made, wanted = (found["metadata"].get("annotations") or {} for found in (pod, template))
    return all(made.get(mark) == wanted.get(mark) for mark in marks)


def credential_fault(spec: Object, role_arn: str | None) -> str:
    """Why a pod of this spec does not run as a role (None: as no role), empty when it does."""
    for container in spec["containers"]:
        variables = {v["name"]: v.get("value", "") for v in container.get("env") or ()}
        role = variables.get(ROLE_VARIABLE)
        if role != role_arn:
            return f"container {container['name']} has {ROLE_VARIABLE} {role or 'not set'}"
        if role_arn and not variables.get(TOKEN_VARIABLE):
            return f"container {container['name']} has no {TOKEN_VARIABLE}"
    return ""


def has_pod_identity(spec: Object) -> bool:
    """Whether EKS Pod Identity gives a container its role, in place of its service account."""
    names = [{v["name"] for v in container.get("env") or ()} for container in spec["containers"]]
    return any(_ASSOCIATION_VARIABLE in n and ROLE_VARIABLE not in n for n in names)


def carries(pod: Object, role_arn: str) -> bool:
    """Whether a container of the pod runs as the role."""
    return any(
        (variable["name"], variable.get("value")) == (ROLE_VARIABLE, role_arn)
        for container in pod["spec"]["containers"]
        for variable in container.get("env") or ()
    )


def nodes_of(pods: Iterable[Object]) -> list[str]:
    """The nodes that the pods run on."""
    return sorted({pod["spec"].get("nodeName", "") for pod in pods} - {""})


def pods_without_role(pods: Iterable[Object], role_arn: str) -> list[str]:
    """The pods that do not run as the role, each with its node and the reason."""
    return [
        f"{_told(pod)}: {fault}"
        for pod in pods
        if (fault := credential_fault(pod["spec"], role_arn))
    ]


def pods_not_ready(pods: Iterable[Object]) -> list[str]:
    """The pods that are not ready, each with its node and the reason."""
    return [f"{_told(pod)}: {reason}" for pod in pods if (reason := _hindrance(pod))]


def _essence(pod: Object) -> Object:
    """A pod of 12 KB in one: there may be thousands."""
    metadata = ("name", "annotations", "deletionTimestamp")
    return {
        "metadata": {k: v for k, v in pod["metadata"].items() if k in metadata},
        "spec": {
            "nodeName": pod["spec"].get("nodeName", ""),
            "containers": [
                {"name": c["name"], "env": [v for v in c.get("env") or () if v["name"] in _READ]}
                for c in pod["spec"]["containers"]
            ],
        },
        "status": pod.get("status", {}),
    }


def _told(pod: Object) -> str:
    return f"pod {pod['metadata']['name']} on node {pod['spec'].get('nodeName') or '(none yet)'}"


def _hindrance(pod: Object) -> str:
    status = pod.get("status", {})
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    return next(_waiting(status), "") or _unmet(conditions) or status.get("phase", "not started")


def _waiting(status: Object) -> Iterator[str]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            state = container.get("state", {})
            cause = state.get("waiting") or state.get("terminated") or {}
            if cause.get("reason"):
                yield " ".join(filter(None, (cause["reason"], cause.get("message"))))


def _unmet(conditions: Mapping[str, Object]) -> str:
    unmet = [c for c in conditions.values() if c["status"] != "True"]
    return next((c["message"] for c in unmet if c.get("message")), "")
