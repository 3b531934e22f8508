"""Whether the pods of aws-node run on its own role: read from their specs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Object = Mapping[str, Any]

# The container that calls EC2; the others of the DaemonSet need no AWS API.
_CONTAINER = "aws-node"
_TOLD = 5


def of_daemon_set(pods: Iterable[Object], daemon_set: Object) -> list[Object]:
    """The pods that the DaemonSet owns and keeps."""
    uid = daemon_set["metadata"]["uid"]
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())
    ]


def nodes_of(pods: Iterable[Object]) -> set[str]:
    """The nodes that pods are placed on."""
    return {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}


def role_of(pod: Object) -> str | None:
    """The role that the pod's CNI container assumes, None when it has no web identity."""
    role, token_file = _web_identity(pod)
    return role if role and token_file else None


def faults_of(pods: list[Object], daemon_set: Object, role_arn: str) -> str:
    """What keeps aws-node from running on the role on every node, in words; empty when nothing."""
    faults = [
        f"pod {pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')} has {found}"
        for pod in pods
        if (found := _web_identity(pod))[0] != role_arn or not found[1]
    ]
    desired = daemon_set["status"].get("desiredNumberScheduled", 0)
    if len(nodes_of(pods)) < desired:
        faults.append(f"{len(nodes_of(pods))} of {desired} nodes have a pod")
    if not faults:
        return ""
    more = f", and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    return (
        f"every pod of aws-node must have (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE) of "
        f"{role_arn}, got {', '.join(faults[:_TOLD])}{more}; see whether the pod "
        "identity webhook runs, and whether the DaemonSet sets these variables itself"
    )


def _web_identity(pod: Object) -> tuple[str | None, str | None]:
    environment = {
        variable["name"]: variable.get("value")
        for container in pod["spec"]["containers"]
        if container["name"] == _CONTAINER
        for variable in container.get("env") or ()
    }
    return environment.get("AWS_ROLE_ARN"), environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")
