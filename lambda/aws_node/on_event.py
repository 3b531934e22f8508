"""The custom resource of `aws-node`'s role: dispatches CloudFormation's events.

One event is one transaction. When a step fails, those before it are undone by the same steps that
a later event would take: a failed Create is released, a failed Update bound as before. So what a
killed function leaves behind is put right by CloudFormation's rollback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_node.account import Superseded
from aws_node.node_roles import NodeRoles
from aws_node.rebinding import Rebinding
from aws_node.transaction import Outcome, Transaction
from custom_resource import Answer, Failure, Request, answer, log
from kubernetes_api.cluster import Cluster
from kubernetes_api.cluster_existence import NoSuchCluster, is_gone
from kubernetes_api.connection import Api, Unreachable
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custom_resource import Deadline, LambdaContext

_UNDO_SECONDS = 90.0
_TOLD_CHARACTERS = 1500
_NONE = "none"  # an output must hold some text
_UNFINISHED = "/unfinished/"
LOOK_AGAIN_SECONDS = 5.0


def handle(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Lambda's entry point."""
    answer(event, context, work, physical_id=unfinished_id)


def physical_id(request: Request) -> str:
    """`<cluster name>/aws-node`: another cluster is another resource, and a replacement."""
    return f"{Cluster.from_properties(request.properties).name}/aws-node"


def unfinished_id(request: Request) -> str:
    """The id of a resource whose creation failed, so that its Delete knows of which one it is."""
    return f"{physical_id(request)}{_UNFINISHED}{request.request_id}"


def work(request: Request, deadline: Deadline) -> Answer:
    """Do what CloudFormation asks for.

    Raises:
        Failure: It cannot be done; what was done of it is undone.
    """
    if request.type == "Delete":
        _release(request, deadline)
        return Answer(request.physical_id or request.logical_id)
    cluster = Cluster.from_properties(request.properties)
    wanted = Rebinding.from_properties(request.properties)
    moved_to = _unfinished_move(request)
    with Api(cluster, deadline, request.type) as api:
        # What a move that failed is rolled back to was bound all the while.
        previous = wanted if moved_to else _previous(request)
        outcome = _bound(
            api, Transaction(api, _owner(request), request.request_id), wanted, previous
        )
    if moved_to:
        _clean_up(request, moved_to, deadline)
    data = {
        "NodesChecked": str(len(outcome.nodes)),
        "RoleSeen": outcome.role_arn,
        "DetachedFrom": ",".join(outcome.detached_from) or _NONE,
    }
    return Answer(physical_id(request), data)


def _bound(
    api: Api, transaction: Transaction, wanted: Rebinding, previous: Rebinding | None
) -> Outcome:
    """All or nothing."""
    try:
        with api.until(DeadlinePart.keeping(api.deadline, _UNDO_SECONDS)):
            return transaction.bind(wanted, previous)
    except Exception as error:
        told = _undone(transaction, error, wanted, previous)
        if not isinstance(error, Failure):
            log("the work broke", level="ERROR", undone=told)
            raise
        raise Failure(f"{str(error)[:_TOLD_CHARACTERS]}; {told}") from error


def _undone(
    transaction: Transaction, error: Exception, wanted: Rebinding, previous: Rebinding | None
) -> str:
    if not transaction.writes:
        return "nothing had been changed"
    log("undoing")
    try:
        transaction.undo(error, wanted, previous)
    except Failure as problem:
        return f"undoing what was done before stopped at: {problem}"
    if isinstance(error, Superseded):
        return "what was done before is left to that event"
    return "everything done before was undone"


def _release(request: Request, deadline: Deadline) -> None:
    try:
        cluster = Cluster.from_properties(request.properties)
        bound = Rebinding.from_properties(request.properties)
    except Failure as failure:
        log("nothing can have been bound", reason=str(failure))
        return
    surely_bound = request.physical_id == physical_id(request)
    _, is_unfinished, created_by = str(request.physical_id).partition(_UNFINISHED)
    try:
        with Api(cluster, deadline, request.type) as api:
            _released(api, request, bound, surely_bound=surely_bound, created_by=created_by)
            if not (surely_bound or is_unfinished):
                # A creation that never answered, because it was cancelled, may still run.
                deadline.sleep(LOOK_AGAIN_SECONDS)
                _released(api, request, bound, surely_bound=False)
    except (NoSuchCluster, Unreachable) as failure:
        if isinstance(failure, Unreachable) and not is_gone(cluster):
            raise Failure(
                f"{failure}; then delete again, or delete the stack and retain "
                f"{request.logical_id}, which leaves aws-node and the node roles as they are"
            ) from failure
        log("the cluster is gone, and aws-node with it", cluster=cluster.name)
        if surely_bound:
            NodeRoles(lambda: deadline).attach(bound.attachments)


def _released(
    api: Api, request: Request, bound: Rebinding, *, surely_bound: bool, created_by: str = ""
) -> None:
    transaction = Transaction(api, _owner(request), request.request_id)
    transaction.release(bound, surely_bound=surely_bound, created_by=created_by)


def _unfinished_move(request: Request) -> Cluster | None:
    """The cluster to which an update moved that failed before it told its id."""
    if request.type != "Update" or request.physical_id != physical_id(request):
        return None
    try:
        cluster = Cluster.from_properties(request.old_properties)
    except Failure:
        return None
    return None if cluster.name == Cluster.from_properties(request.properties).name else cluster


def _clean_up(request: Request, cluster: Cluster, deadline: Deadline) -> None:
    """Release what such an update may have bound: nobody else is told of it."""
    try:
        bound = Rebinding.from_properties(request.old_properties)
        with Api(cluster, deadline, request.type) as api, api.at_a_glance():
            _released(api, request, bound, surely_bound=False)
    except Failure as failure:
        # It may be why the update failed, and the rollback must not.
        log("not cleaned up", level="WARNING", cluster=cluster.name, because=str(failure))


def _previous(request: Request) -> Rebinding | None:
    """What was bound in this cluster before, None when nothing was."""
    if request.type != "Update" or request.physical_id != physical_id(request):
        return None
    try:
        return Rebinding.from_properties(request.old_properties)
    except Failure as failure:
        log("nothing can have been bound before", reason=str(failure))
        return None


def _owner(request: Request) -> Owner:
    return Owner(request.stack_id, request.logical_id)
