"""The custom resource that moves aws-node to its own role: dispatches CloudFormation's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_node.rebinding import Plan, Rebinding
from custom_resource import Answer, Failure, Request, answer, log
from kubernetes_api.binding_plan import Owner
from kubernetes_api.cluster_existence import is_gone
from kubernetes_api.connection import Api, Cluster, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custom_resource import Deadline, LambdaContext

_ROLLOUT_SECONDS = 600.0
_NONE = "none"  # an output must hold some text


def handle(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Lambda's entry point."""
    answer(event, context, work, physical_id=physical_id)


def physical_id(request: Request) -> str:
    """`<cluster name>/aws-node`: there is one in a cluster."""
    return f"{Cluster.from_properties(request.properties).name}/aws-node"


def work(request: Request, deadline: Deadline) -> Answer:
    """Do what CloudFormation asks for.

    Raises:
        Failure: A step failed; those before it are undone.
    """
    owner = Owner(request.stack_id, request.logical_id)
    if request.type == "Delete":
        _release(request, owner, deadline)
        return Answer(request.physical_id or request.logical_id)
    cluster, plan = Cluster.from_properties(request.properties), _plan(request.properties)
    moved = request.physical_id not in (None, physical_id(request))
    previous = None if moved or not request.old_properties else _plan(request.old_properties)
    with Api(cluster, deadline) as api:
        outcome = Rebinding(api, owner).bind(plan, previous)
    return Answer(
        physical_id(request),
        {
            "NodesChecked": str(outcome.nodes_checked),
            "RoleSeen": outcome.role_seen,
            "DetachedFrom": ",".join(outcome.detached_from) or _NONE,
        },
    )


def _release(request: Request, owner: Owner, deadline: Deadline) -> None:
    try:
        cluster, plan = Cluster.from_properties(request.properties), _plan(request.properties)
    except Failure as failure:
        log("nothing can have been bound", reason=str(failure))
        return
    try:
        with Api(cluster, deadline) as api:
            Rebinding(api, owner).release(plan)
    except Unreachable as failure:
        if is_gone(cluster):
            log("the cluster is gone, and aws-node with it", cluster=cluster.name)
            return
        raise Failure(
            f"{failure}; then delete again, or attach the CNI policy to the node roles yourself "
            f"and delete the stack with {request.logical_id} retained"
        ) from failure


def _plan(properties: Mapping[str, Any]) -> Plan:
    role_arn = str(properties.get("RoleArn") or "")
    if not role_arn:
        raise Failure("RoleArn must be given, got nothing; pass the role of aws-node")
    return Plan(
        role_arn,
        tuple(str(name) for name in properties.get("NodeRoleNames") or ()),
        tuple(str(arn) for arn in properties.get("PolicyArns") or ()),
        float(properties.get("RolloutTimeoutSeconds") or _ROLLOUT_SECONDS),
    )
