"""The binder's custom resource: dispatches CloudFormation's events.

One event is one transaction: all that it asks for is done, or none of it. It may be interrupted
anywhere, since what is ours is written on the objects, and CloudFormation keeps what was asked for
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Answer, Failure, Request, answer, listed, log
from kubernetes_api.cluster import Cluster
from kubernetes_api.cluster_existence import NoSuchCluster, is_gone
from kubernetes_api.connection import Api, Unreachable
from kubernetes_api.owner import Owner
from service_accounts.binder import Binder
from service_accounts.bindings import bindings_of, tolerated_bindings_of
from service_accounts.release import Release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custom_resource import Deadline, LambdaContext
    from service_accounts.binding import Binding

_ROLLOUT_SECONDS = 600.0


def handle(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Lambda's entry point."""
    answer(event, context, work, physical_id=physical_id)


def physical_id(request: Request) -> str:
    """`<cluster name>/<logical id>`: another cluster is another resource, and a replacement."""
    return f"{Cluster.from_properties(request.properties).name}/{request.logical_id}"


def work(request: Request, deadline: Deadline) -> Answer:
    """Do what CloudFormation asks for.

    Raises:
        Failure: It cannot be done; what was done of it is undone.
    """
    if request.type == "Delete":
        _release(request, deadline)
        return Answer(request.physical_id or request.logical_id)
    cluster = Cluster.from_properties(request.properties)
    wanted = bindings_of(request.properties)
    moved = request.physical_id not in (None, physical_id(request))
    # What was asked for of another cluster is released there, by the Delete that follows.
    previous = {} if moved else tolerated_bindings_of(request.old_properties)
    timeout = float(request.properties.get("RolloutTimeoutSeconds") or _ROLLOUT_SECONDS)
    with Api(cluster, deadline, request.type) as api:
        left_alone = Binder(api, _owner(request), timeout).bind(wanted, previous)
    if not moved and (other := _other_cluster(request, cluster)):
        _clean_up(request, other, previous, deadline)
    data = {"Bound": str(len(wanted) - len(left_alone)), "LeftAlone": listed(left_alone, ", ")}
    return Answer(physical_id(request), data)


def _release(request: Request, deadline: Deadline) -> None:
    previous = tolerated_bindings_of(request.properties)
    try:
        cluster = Cluster.from_properties(request.properties)
    except Failure as failure:
        log("nothing can have been bound", reason=str(failure))
        return
    if not previous:
        return
    try:
        with Api(cluster, deadline, request.type) as api:
            # Without an id of ours its creation never answered: cancelled, it may still run.
            cancelled = request.physical_id != physical_id(request)
            Release(api, _owner(request)).perform(previous, may_be_bound_meanwhile=cancelled)
    except (NoSuchCluster, Unreachable) as failure:
        if isinstance(failure, NoSuchCluster) or is_gone(cluster):
            log("the cluster is gone, and all in it", cluster=cluster.name)
            return
        raise Failure(
            f"{failure}; then delete again, or delete the stack and retain {request.logical_id}, "
            "which leaves the service accounts as they are"
        ) from failure


def _other_cluster(request: Request, cluster: Cluster) -> Cluster | None:
    """The cluster to which an update moved that failed before it told its id."""
    try:
        found = Cluster.from_properties(request.old_properties)
    except Failure:
        return None
    return found if request.type == "Update" and found.name != cluster.name else None


def _clean_up(
    request: Request, cluster: Cluster, bindings: Mapping[str, Binding], deadline: Deadline
) -> None:
    """Release what such an update may have bound: nobody else is told of it."""
    try:
        with Api(cluster, deadline, request.type) as api, api.at_a_glance():
            Release(api, _owner(request)).perform(bindings)
    except Failure as failure:
        # It may be why the update failed, and the rollback must not.
        log("not cleaned up", level="WARNING", cluster=cluster.name, because=str(failure))


def _owner(request: Request) -> Owner:
    return Owner(request.stack_id, request.logical_id)
