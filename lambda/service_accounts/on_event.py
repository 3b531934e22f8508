"""The binder's custom resource: dispatches CloudFormation's events.

One event is one transaction: all that it asks for is done, or none of it. It may be interrupted
anywhere, since what is ours is written on the objects, and CloudFormation keeps what was asked for
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Answer, Failure, Request, answer, log
from kubernetes_api.cluster_existence import is_gone
from kubernetes_api.connection import Api, Cluster, Unreachable
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.shared_keys import keys_of
from service_accounts.binding_plan import Owner, Verb, decide
from service_accounts.bindings import (
    ADOPT,
    ROLE_ANNOTATION,
    Binding,
    bindings_of,
    tolerated_bindings_of,
)
from service_accounts.consumers import Restarts
from service_accounts.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from custom_resource import Deadline, LambdaContext

    Bindings = Mapping[str, Binding]

_UNDO_SECONDS = 90.0
_ROLLOUT_SECONDS = 600.0
_TOLD_FAULTS = 10


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
        _release_all(request, deadline)
        return Answer(request.physical_id or request.logical_id)
    cluster = Cluster.from_properties(request.properties)
    wanted = bindings_of(request.properties)
    moved = request.physical_id not in (None, physical_id(request))
    # What was asked for of another cluster is released there, by the Delete that follows.
    previous = {} if moved else tolerated_bindings_of(request.old_properties)
    timeout = float(request.properties.get("RolloutTimeoutSeconds") or _ROLLOUT_SECONDS)
    with Api(cluster, deadline) as api:
        left_alone = _bind_all(api, _owner(request), wanted, previous, timeout)
    data = {"Bound": str(len(wanted) - len(left_alone)), "LeftAlone": _listed(left_alone)}
    return Answer(physical_id(request), data)


def _bind_all(
    api: Api, owner: Owner, wanted: Bindings, previous: Bindings, timeout_seconds: float
) -> list[str]:
    """All or nothing. Returns the accounts that were left alone."""
    whole = api.deadline
    transaction, restarts = Transaction(api, owner), Restarts(api, timeout_seconds)
    try:
        with api.until(DeadlinePart.keeping(whole, _UNDO_SECONDS)):
            return _bind_each(transaction, restarts, owner, wanted, previous)
    except Failure as failure:
        # Accounts first: pods that are made anew must find them as they were.
        problems = [*transaction.undo(), *restarts.undo()]
        told = "; ".join(problems) or "everything done before was undone"
        raise Failure(f"{failure}; {told}") from failure


def _bind_each(
    transaction: Transaction,
    restarts: Restarts,
    owner: Owner,
    wanted: Bindings,
    previous: Bindings,
) -> list[str]:
    found = transaction.found([*wanted, *previous])
    plan = {
        key: decide(wanted.get(key), previous.get(key), found.get(key), owner)
        for key in [*wanted, *previous]
    }
    refusals = [step.reason for step in plan.values() if step.verb is Verb.REFUSE]
    if refusals:
        raise Failure(_listed(refusals, "; "))
    left_alone = [key for key in wanted if plan[key].verb is Verb.LEAVE]
    bound = [binding for key, binding in wanted.items() if key not in left_alone]
    due = restarts.due(bound)
    for namespace in dict.fromkeys(b.namespace for b in bound if b.create_namespace):
        transaction.make_namespace(namespace)
    for key, binding in wanted.items():
        transaction.bring(key, binding, previous.get(key), found.get(key))
    restarts.perform(due)
    dropped = {key: binding for key, binding in previous.items() if key not in wanted}
    for key, binding in dropped.items():
        transaction.bring(key, None, binding, found.get(key))
    _withdraw(transaction, restarts, dropped)
    for namespace in _namespaces_to_remove(wanted, previous):
        transaction.remove_namespace(namespace)
    log("bound all", accounts=len(bound), left_alone=len(left_alone), writes=transaction.writes)
    return left_alone


def _release_all(request: Request, deadline: Deadline) -> None:
    """Release as much as can be; a retry, or the next Delete, does the rest."""
    previous = tolerated_bindings_of(request.properties)
    try:
        cluster = Cluster.from_properties(request.properties)
    except Failure as failure:
        log("nothing can have been bound", reason=str(failure))
        return
    if not previous:
        return
    try:
        with Api(cluster, deadline) as api:
            problems = _release_each(api, _owner(request), previous)
    except Unreachable as failure:
        if is_gone(cluster):
            log("the cluster is gone, and all in it", cluster=cluster.name)
            return
        raise Failure(
            f"{failure}; then delete again, or delete the stack and retain {request.logical_id}, "
            "which leaves the service accounts as they are"
        ) from failure
    if problems:
        raise Failure(_listed(problems, "; "))


def _release_each(api: Api, owner: Owner, previous: Bindings) -> list[str]:
    transaction, restarts = Transaction(api, owner), Restarts(api, _ROLLOUT_SECONDS)
    found = transaction.found(previous)
    problems: list[str] = []
    for key, binding in previous.items():
        try:
            transaction.bring(key, None, binding, found.get(key))
        except Unreachable:
            raise
        except Failure as failure:
            problems.append(str(failure))
    _withdraw(transaction, restarts, previous)
    for namespace in _namespaces_to_remove({}, previous):
        transaction.remove_namespace(namespace)
    return problems


def _withdraw(transaction: Transaction, restarts: Restarts, released: Bindings) -> None:
    # Pods of an account that is gone are left as they are: without it none could be made.
    restarting = {
        key: binding
        for key, binding in released.items()
        if binding.restart and binding.ownership == ADOPT
    }
    for key, account in transaction.found(restarting).items():
        role = keys_of(account)["annotations"].get(ROLE_ANNOTATION)
        if role != restarting[key].role_arn:
            restarts.withdraw(restarting[key], role)


def _namespaces_to_remove(wanted: Bindings, previous: Bindings) -> list[str]:
    kept = {binding.namespace for binding in wanted.values()}
    asked = (b.namespace for b in previous.values() if b.create_namespace)
    return [namespace for namespace in dict.fromkeys(asked) if namespace not in kept]


def _owner(request: Request) -> Owner:
    return Owner(request.stack_id, request.logical_id)


def _listed(texts: Iterable[str], separator: str = ", ") -> str:
    texts = list(texts)
    told = texts[:_TOLD_FAULTS]
    if len(texts) > len(told):
        told.append(f"and {len(texts) - len(told)} more")
    return separator.join(told)
