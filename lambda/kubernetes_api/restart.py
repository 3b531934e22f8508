"""Restarts of workloads whose pods must take up another role, and the wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Failure, log
from kubernetes_api.rollout import rollout_of, rolls_by_itself

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubernetes_api.connection import Api
    from kubernetes_api.deadline_part import DeadlinePart

# On the pod template, so that it changes, and with it the pods, exactly when the role does.
TEMPLATE_ROLE = "irsa-stack/role-arn"
# The pod identity webhook learns of a changed account through a watch; a pod that is made before
# it did gets the old role, or none.
# https://github.com/aws/amazon-eks-pod-identity-webhook/issues/174
WEBHOOK_WATCH_SECONDS = 2.0
_POLL_SECONDS = 2.0


def template_role(workload: Mapping[str, Any]) -> str | None:
    """The role that the workload's pods were last restarted for."""
    metadata = workload["spec"]["template"].get("metadata") or {}
    role: str | None = (metadata.get("annotations") or {}).get(TEMPLATE_ROLE)
    return role


def set_template_role(api: Api, path: str, role: str | None) -> dict[str, Any]:
    """Put the role on the pod template, or with None take it off; either restarts the pods."""
    annotations = {TEMPLATE_ROLE: role}
    return api.merge(path, {"spec": {"template": {"metadata": {"annotations": annotations}}}})


def await_rollouts(api: Api, paths: Iterable[str], deadline: DeadlinePart) -> None:
    """Wait until every workload runs its pod template, telling the log how far it is.

    Raises:
        Failure: One is stuck, or the deadline passes; says which and how far it came.
    """
    pending = dict.fromkeys(paths, "")
    while True:
        for path, told in list(pending.items()):
            workload = api.get(path)
            if workload is None:
                log("gone while it was restarted", level="WARNING", workload=path)
                del pending[path]
                continue
            rollout = rollout_of(workload)
            if rollout.progress != told:
                log("rollout", workload=path, progress=rollout.progress)
                pending[path] = rollout.progress
            if rollout.failure:
                raise Failure(
                    f"the rollout of {path} must end, got {rollout.failure!r}; see why its pods do "
                    "not become ready, and deploy again"
                )
            if rollout.done or rolls_by_itself(workload):
                del pending[path]
        if not pending:
            return
        try:
            deadline.sleep(_POLL_SECONDS)
        except Failure as late:
            stuck = ", ".join(f"{path} ({progress})" for path, progress in pending.items())
            longer = "" if deadline.is_cut_short else ", or raise rollout_timeout"
            raise Failure(
                f"the rollout must end within {deadline.seconds:.0f} s, got {stuck}; see why its "
                f"pods do not become ready{longer}"
            ) from late
