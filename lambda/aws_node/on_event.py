"""The custom resource of `aws-node`'s role: dispatches CloudFormation's events.

One event is one transaction. When a step fails, those before it are undone by the same steps that
a later event would take: a failed Create is released, or what it took over from another resource is
bound as before; a failed Update too. So what a killed function leaves behind is put right by
CloudFormation's rollback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_node.node_roles import NodeRoles
from aws_node.rebinding import Rebinding
from aws_node.transaction import Outcome, Transaction
from custom_resource import Answer, Failure, Request, answer, log
from kubernetes_api.cluster import Cluster
from kubernetes_api.cluster_existence import is_gone
from kubernetes_api.connection import Api, Unreachable
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custom_resource import Deadline, LambdaContext

_UNDO_SECONDS = 90.0
_TOLD_CHARACTERS = 1500
_NONE = "none"  # an output must hold some text


def handle(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Lambda's entry point."""
    answer(event, context, work, physical_id=unfinished_id)


def physical_id(request: Request) -> str:
    """`<cluster name>/aws-node`: another cluster is another resource, and a replacement."""
    return f"{Cluster.from_properties(request.properties).name}/aws-node"


def unfinished_id(request: Request) -> str:
    """The id of a resource whose creation failed, so that its Delete knows."""
    return f"{physical_id(request)}/unfinished"


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
    with Api(cluster, deadline) as api:
        transaction = Transaction(api, _owner(request))
        outcome = _bound(api, transaction, wanted, _previous(request))
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
    except Failure as failure:
        told = _undone(transaction, wanted, previous)
        raise Failure(f"{str(failure)[:_TOLD_CHARACTERS]}; {told}") from failure


def _undone(transaction: Transaction, wanted: Rebinding, previous: Rebinding | None) -> str:
    if not transaction.writes:
        return "nothing had been changed"
    log("undoing")
    try:
        transaction.undo(wanted, previous)
    except Failure as problem:
        return f"undoing what was done before stopped at: {problem}"
    return "everything done before was undone"


def _release(request: Request, deadline: Deadline) -> None:
    try:
        cluster = Cluster.from_properties(request.properties)
        bound = Rebinding.from_properties(request.properties)
    except Failure as failure:
        log("nothing can have been bound", reason=str(failure))
        return
    surely_bound = request.physical_id == physical_id(request)
    try:
        with Api(cluster, deadline) as api:
            Transaction(api, _owner(request)).release(bound, surely_bound=surely_bound)
    except Unreachable as failure:
        if not is_gone(cluster):
            raise Failure(
                f"{failure}; then delete again, or delete the stack and retain "
                f"{request.logical_id}, which leaves aws-node and the node roles as they are"
            ) from failure
        log("the cluster is gone, and aws-node with it", cluster=cluster.name)
        if surely_bound:
            NodeRoles(lambda: deadline).attach_missing(bound.attachments)


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
