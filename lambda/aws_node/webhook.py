"""What the pod identity webhook would give to a pod of `aws-node` that is made now.

The webhook learns of a changed service account through a watch, and a pod that is made before it
did gets the old role, or none, for good. So it is asked first, with a pod that the API server
admits and does not keep (a dry run): no pod of the CNI is restarted in vain.
See: https://github.com/aws/amazon-eks-pod-identity-webhook/issues/174
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_node.pods import credential_fault, has_pod_identity
from custom_resource import Failure, OutOfTime, log
from kubernetes_api import restart
from kubernetes_api.connection import ApiError
from kubernetes_api.deadline_part import DeadlinePart

if TYPE_CHECKING:
    from kubernetes_api.connection import Api

ANSWER_SECONDS = 60.0
_POLL_SECONDS = 0.5
_WEBHOOK_FIX = (
    "see whether the pod identity webhook runs (kubectl get mutatingwebhookconfiguration "
    "pod-identity-webhook) and whether the pod template sets the variable itself"
)
# https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
_ASSOCIATION_FIX = (
    "an EKS Pod Identity association gives its pods another role, and comes before the annotation; "
    "delete it: aws eks list-pod-identity-associations --cluster-name NAME --namespace kube-system "
    "--service-account aws-node, then aws eks delete-pod-identity-association --cluster-name NAME "
    "--association-id ID"
)
# https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go
_QUOTA = re.compile(r"exceeded quota: .*, used: (\S+), limited: (\S+)")
_SUFFIXES = {
    "m": 1e-3,
    **{letter: 1000.0**n for n, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": 1024.0**n for n, letter in enumerate("KMGTPE", 1)},
}
_PODS = "/api/v1/namespaces/kube-system/pods"


class NotYetSeen(Failure):
    """A new pod would get another role than its service account says."""


def await_webhook(api: Api, daemon_set: dict[str, Any], role_arn: str | None) -> None:
    """Wait until a new pod would get the role, or with None would get none.

    Raises:
        NotYetSeen: It would not, for as long as that is borne.
    """
    deadline = DeadlinePart(api.deadline, ANSWER_SECONDS)
    while fault := _fault(api, daemon_set, role_arn):
        try:
            deadline.sleep(_POLL_SECONDS)
        except OutOfTime as late:
            role = role_arn or "no role of its own"
            raise NotYetSeen(f"a new pod of aws-node must run as {role}, got: {fault}") from late
    # A control plane has several API servers, each with a webhook of its own; one has answered.
    # That comes on top of the answer's time: an answer in its last moment is an answer.
    api.deadline.sleep(restart.WEBHOOK_WATCH_SECONDS)


def _is_no_answer(error: ApiError) -> bool:
    """Whether the refusal is of the dry run, and not of the pod."""
    return "does not support dry run" in error.said or 'cannot create resource "pods"' in error.said


def _takes_a_pod_first(daemon_set: dict[str, Any]) -> bool:
    surge = daemon_set["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("maxSurge")
    return surge in (None, 0, "0", "0%")


def _is_full(said: str) -> bool:
    """Whether a quota is refused that has room again once the old pod is gone."""
    told = _QUOTA.search(said)
    if not told:
        return False
    used, limited = (
        {name: _quantity(value) for name, _, value in (p.partition("=") for p in part.split(","))}
        for part in told.groups()
    )
    return all(used[name] <= limit for name, limit in limited.items() if name in used)


def _quantity(text: str) -> float:
    """A Kubernetes quantity, such as `25m` or `1Gi`."""
    number = text.rstrip("".join(_SUFFIXES) + "i")
    return float(number) * _SUFFIXES.get(text.removeprefix(number), 1.0)


def _fault(api: Api, daemon_set: dict[str, Any], role_arn: str | None) -> str:
    """How a new pod would differ, and what to do; empty when it would not."""
    template = daemon_set["spec"]["template"]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template.get("metadata", {}), "generateName": "aws-node-dry-run-"},
        "spec": template["spec"],
    }
    try:
        pod = api.request("POST", _PODS, body, query={"dryRun": "All"})
    except ApiError as error:
        if not (_is_no_answer(error) or (_takes_a_pod_first(daemon_set) and _is_full(error.said))):
            raise
        # The real pods will tell.
        log("no dry run", level="WARNING", because=str(error))
        return ""
    fault = credential_fault(pod["spec"], role_arn)
    if not fault:
        return ""
    fix = _ASSOCIATION_FIX if has_pod_identity(pod["spec"]) else _WEBHOOK_FIX
    return f"{fault}; {fix}"
