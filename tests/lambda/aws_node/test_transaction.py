"""The steps of binding and releasing `aws-node`: their order, where they stop, what they leave."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from aws_node import transaction
from aws_node.node_roles import NodeRoles
from aws_node.rebinding import Rebinding
from aws_node.transaction import Outcome, Transaction
from custom_resource import Failure
from kubernetes_api import connection
from kubernetes_api.connection import Conflict
from kubernetes_api.owner import Owner
from kubernetes_api.restart import template_role
from tests.support.api_server import Reply, refusal
from tests.support.aws_node import (
    ACCOUNT,
    CNI_POLICY,
    DAEMON_SET,
    EVENTS,
    JOURNAL,
    ONE,
    OWNER,
    PODS,
    ROLE,
    TWO,
    WORKER_POLICY,
    journal,
)
from tests.support.aws_node_faults import FAULTS, SICK_NODE, once
from tests.support.binder import account, run
from tests.support.cloudformation import STACK_ID
from tests.support.small_cluster import annotations_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes_api.connection import Api
    from tests.support.small_cluster import SmallAwsNode

BOTH = ("nodes", "spot")
WITH_POLICY = {"nodes": [WORKER_POLICY, CNI_POLICY], "spot": [CNI_POLICY]}
WITHOUT_POLICY = {"nodes": [WORKER_POLICY], "spot": []}
FOREIGN = "arn:aws:iam::111122223333:role/foreign"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def wanted(role: str = ONE, nodes: tuple[str, ...] = BOTH, seconds: float = 30.0) -> Rebinding:
    return Rebinding(role, nodes, (CNI_POLICY,), seconds)


def of(api: Api, logical_id: str = "AwsNode", stack_id: str = STACK_ID) -> Transaction:
    return Transaction(api, Owner(stack_id, logical_id), f"event-{next(_events)}")


def bind(api: Api, asked: Rebinding | None = None, previous: Rebinding | None = None) -> Outcome:
    return of(api).bind(asked or wanted(), previous)


def release(api: Api, bound: Rebinding | None = None, *, surely_bound: bool = True) -> None:
    of(api).release(bound or wanted(), surely_bound=surely_bound)


def set_role(node: SmallAwsNode, role: str | None, manager: str = "kubectl-annotate") -> None:
    node.server.edit(ACCOUNT, {"metadata": {"annotations": {ROLE: role}}}, manager)


def policies(node: SmallAwsNode) -> dict[str, list[str]]:
    return {
        name: sorted(arns, key=[WORKER_POLICY, CNI_POLICY].index)
        for name, arns in node.iam.roles.items()
    }


def roles_of_pods(node: SmallAwsNode) -> list[tuple[str, str | None]]:
    pods: list[tuple[str, str | None]] = node.state()["pods"]
    return pods


_events = itertools.count(1)


class Killed(BaseException):
    """Lambda stopped the function."""


@contextlib.contextmanager
def killed_at(node: SmallAwsNode, write: int) -> Iterator[None]:
    """Kill the function when it is about to send its n-th write, counted from 0."""
    sent = 0

    def count() -> None:
        nonlocal sent
        if sent == write:
            raise Killed
        sent += 1

    to_kubernetes, to_iam = connection.Api.request, NodeRoles._ask

    def request(self: Api, method: str, *args: Any, **named: Any) -> Any:
        if method != "GET" and self is not node.cluster.admin:
            count()
        return to_kubernetes(self, method, *args, **named)

    def ask(self: NodeRoles, operation: str, **named: str) -> Any:
        if not operation.startswith("list"):
            count()
        return to_iam(self, operation, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection.Api, "request", request)
        patch.setattr(NodeRoles, "_ask", ask)
        with pytest.raises(Killed):
            yield


@pytest.fixture
def bound(api: Api, aws_node: SmallAwsNode) -> SmallAwsNode:
    """Bound to the first role; what was asked for that is forgotten."""
    bind(api)
    aws_node.server.requests.clear()
    return aws_node


# Binding


def test_annotates_asks_the_webhook_restarts_and_detaches_last(
    api: Api, aws_node: SmallAwsNode
) -> None:
    bind(api)

    assert aws_node.asked == [
        "PATCH serviceaccounts",
        "POST pods",
        "PATCH daemonsets",
        "DetachRolePolicy nodes",
        "DetachRolePolicy spot",
    ]


def test_tells_each_step_in_the_log(
    api: Api, aws_node: SmallAwsNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert aws_node
    bind(api)

    lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["step"] for line in lines if line["message"] == "step"] == [
        "find aws-node",
        "read the policies of the node roles",
        "check whose role aws-node has",
        "give policies back to node roles",
        "annotate the service account",
        "see the new role in a dry run",
        "restart the DaemonSet",
        "wait for the rollout",
        "verify the pods",
        "detach the policies from the node roles",
    ]


def test_every_pod_runs_as_the_role_before_the_first_policy_goes(
    api: Api, aws_node: SmallAwsNode
) -> None:
    seen: list[list[tuple[str, str | None]]] = []
    aws_node.iam.before_change = lambda _: seen.append(roles_of_pods(aws_node))

    bind(api)

    assert seen[0] == [("node-1", ONE), ("node-2", ONE)]


def test_the_cni_can_always_run_while_it_is_bound_rebound_and_released(
    api: Api, aws_node: SmallAwsNode
) -> None:
    with aws_node.watched():
        bind(api)
        bind(api, wanted(TWO), wanted())
        release(api, wanted(TWO))


def test_tells_nodes_role_and_node_roles(api: Api, aws_node: SmallAwsNode) -> None:
    assert aws_node
    assert bind(api) == Outcome(("node-1", "node-2"), ONE, BOTH)


def test_takes_only_the_policy_that_is_named(bound: SmallAwsNode) -> None:
    assert policies(bound) == WITHOUT_POLICY


def test_writes_role_owner_and_journal(bound: SmallAwsNode) -> None:
    assert bound.annotations == {
        ROLE: ONE,
        OWNER: f"{STACK_ID}#AwsNode",
        JOURNAL: f'{{"nodes":["{CNI_POLICY}"],"spot":["{CNI_POLICY}"]}}',
        EVENTS: bound.annotations[EVENTS],
    }


def test_writes_the_journal_before_the_first_policy_goes(api: Api, aws_node: SmallAwsNode) -> None:
    seen: list[dict[str, list[str]]] = []
    aws_node.iam.before_change = lambda _: seen.append(journal(aws_node))

    bind(api)

    assert seen[0] == {"nodes": [CNI_POLICY], "spot": [CNI_POLICY]}


def test_binding_again_writes_nothing(api: Api, bound: SmallAwsNode) -> None:
    outcome = bind(api, previous=wanted())

    assert bound.asked == []
    assert outcome == Outcome(("node-1", "node-2"), ONE, BOTH)


def test_a_cluster_without_nodes_is_bound_at_once(api: Api, aws_node: SmallAwsNode) -> None:
    aws_node.server.nodes = ()
    for path in [path for path in aws_node.server.objects if path.startswith(PODS)]:
        aws_node.server.remove(path)

    outcome = bind(api, wanted(nodes=()))

    assert outcome == Outcome((), ONE, ())
    assert aws_node.iam.calls == []


def test_waits_for_an_aws_node_that_is_installed_late(
    api: Api, aws_node: SmallAwsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "APPEARANCE_SECONDS", 20.0)
    found = aws_node.server.objects.pop(DAEMON_SET)
    looks = 0

    def installed(_method: str, path: str) -> None:
        nonlocal looks
        looks += path == DAEMON_SET
        if looks == 3:
            aws_node.server.objects[DAEMON_SET] = found

    aws_node.server.trouble = installed

    assert bind(api).nodes == ("node-1", "node-2")


def test_a_role_that_somebody_set_to_the_same_value_becomes_ours(
    api: Api, aws_node: SmallAwsNode
) -> None:
    set_role(aws_node, ONE)

    bind(api)
    release(api)

    assert aws_node.annotations == {}


def test_a_policy_that_an_operator_had_detached_is_not_in_the_journal(
    api: Api, aws_node: SmallAwsNode
) -> None:
    aws_node.iam.roles["spot"].clear()

    outcome = bind(api)

    assert journal(aws_node) == {"nodes": [CNI_POLICY]}
    assert outcome.detached_from == ("nodes",)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_its_step_and_what_follows_is_not_begun(
    api: Api, aws_node: SmallAwsNode, name: str
) -> None:
    fault = FAULTS[name]
    fault.arrange(aws_node)

    with (
        aws_node.watched(),
        pytest.raises(Failure, match=rf"^{fault.step}: .*{fault.told}"),
    ):
        bind(api, wanted(seconds=fault.seconds))

    assert list(dict.fromkeys(aws_node.asked)) == list(fault.asked)


@pytest.mark.parametrize(
    ("role", "told"),
    [(TWO, f"got {TWO} set"), (None, "got None set")],
)
def test_a_role_that_changes_during_the_rollout_stops_before_a_policy_goes(
    api: Api, aws_node: SmallAwsNode, role: str | None, told: str
) -> None:
    def change(_: dict[str, Any], on: str) -> None:
        if on == SICK_NODE:
            set_role(aws_node, role)

    aws_node.tamper.do = change

    with pytest.raises(
        Failure,
        match=f"^verify the pods: kube-system/aws-node must keep its role {ONE}, {told} meanwhile",
    ):
        bind(api)

    assert policies(aws_node) == WITH_POLICY


@pytest.mark.parametrize("gone", [ACCOUNT, DAEMON_SET])
def test_an_object_that_goes_during_the_rollout_stops_before_a_policy_goes(
    api: Api, aws_node: SmallAwsNode, gone: str
) -> None:
    def delete(_: dict[str, Any], on: str) -> None:
        if on == SICK_NODE:
            aws_node.server.remove(gone)

    aws_node.tamper.do = delete

    with pytest.raises(Failure, match=r"^verify the pods: kube-system/aws-node must stay"):
        bind(api)

    assert policies(aws_node) == WITH_POLICY


# Binding what is bound


def test_another_role_has_the_policies_behind_it_until_it_is_verified(
    api: Api, bound: SmallAwsNode
) -> None:
    bind(api, wanted(TWO), wanted())

    assert bound.asked == [
        "AttachRolePolicy nodes",
        "AttachRolePolicy spot",
        "PATCH serviceaccounts",
        "POST pods",
        "PATCH daemonsets",
        "DetachRolePolicy nodes",
        "DetachRolePolicy spot",
    ]


def test_another_role_reaches_every_pod(api: Api, bound: SmallAwsNode) -> None:
    bind(api, wanted(TWO), wanted())

    assert roles_of_pods(bound) == [("node-1", TWO), ("node-2", TWO)]


def test_a_policy_that_is_given_back_has_time_to_count(
    api: Api, bound: SmallAwsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "IAM_SETTLE_SECONDS", 7.0)
    slept: list[tuple[float, list[str]]] = []
    monkeypatch.setattr(api.deadline, "sleep", lambda s: slept.append((s, bound.asked)))

    bind(api, wanted(TWO), wanted())

    assert slept[0] == (7.0, ["AttachRolePolicy nodes", "AttachRolePolicy spot"])


def test_a_node_role_that_is_added_loses_the_policy_without_a_restart(
    api: Api, aws_node: SmallAwsNode
) -> None:
    only_nodes = wanted(nodes=("nodes",))
    bind(api, only_nodes)
    aws_node.server.requests.clear()

    bind(api, wanted(), only_nodes)

    assert aws_node.asked == ["PATCH serviceaccounts", "DetachRolePolicy spot"]


def test_a_node_role_that_is_added_keeps_the_policy_while_a_pod_has_no_role(
    api: Api, aws_node: SmallAwsNode
) -> None:
    only_nodes = wanted(nodes=("nodes",))
    bind(api, only_nodes)
    for pod in aws_node.pods:
        path = f"{PODS}/{pod['metadata']['name']}"
        containers = [{"name": "aws-node", "env": []}]
        aws_node.server.edit(path, {"spec": {"containers": containers}})

    with pytest.raises(Failure, match=r"^verify the pods: every pod of aws-node must run as"):
        bind(api, wanted(), only_nodes)

    assert aws_node.iam.roles["spot"] == [CNI_POLICY]


def test_a_node_role_that_is_dropped_gets_the_policy_back(api: Api, bound: SmallAwsNode) -> None:
    bind(api, wanted(nodes=("nodes",)), wanted())

    assert bound.asked == ["AttachRolePolicy spot", "PATCH serviceaccounts"]


def test_a_node_role_that_is_dropped_leaves_the_journal(api: Api, bound: SmallAwsNode) -> None:
    bind(api, wanted(nodes=("nodes",)), wanted())

    assert journal(bound) == {"nodes": [CNI_POLICY]}


def test_a_node_role_that_was_deleted_since_is_no_fault(api: Api, bound: SmallAwsNode) -> None:
    del bound.iam.roles["spot"]

    bind(api, wanted(), wanted())

    assert bound.asked == []


def test_a_role_that_went_is_put_back_without_a_restart(api: Api, bound: SmallAwsNode) -> None:
    set_role(bound, None)

    bind(api, wanted(), wanted())

    assert bound.annotations[ROLE] == ONE
    assert "PATCH daemonsets" not in bound.asked


def test_pods_that_were_made_while_the_role_was_gone_are_restarted(
    api: Api, bound: SmallAwsNode
) -> None:
    set_role(bound, None)
    bound.server.remove(f"{PODS}/{bound.pods[0]['metadata']['name']}")
    bound.settle()
    assert {role for _, role in roles_of_pods(bound)} == {ONE, None}

    bind(api, wanted(), wanted())

    assert roles_of_pods(bound) == [("node-1", ONE), ("node-2", ONE)]


def test_pods_are_restarted_though_the_controller_has_not_counted_them(
    api: Api, bound: SmallAwsNode
) -> None:
    set_role(bound, None)
    bound.server.remove(f"{PODS}/{bound.pods[0]['metadata']['name']}")
    bound.settle()
    found = bound.daemon_set
    assert found
    late = {**found, "status": {**found["status"], "updatedNumberScheduled": 1}}

    once("GET", DAEMON_SET, Reply(200, late))(bound)

    bind(api, wanted(), wanted())

    assert roles_of_pods(bound) == [("node-1", ONE), ("node-2", ONE)]


def test_a_role_that_somebody_changed_since_is_left_alone_and_told(
    api: Api, bound: SmallAwsNode
) -> None:
    set_role(bound, TWO)

    outcome = bind(api, wanted(), wanted())

    assert bound.asked == []
    assert outcome.role_arn == TWO


def test_beside_a_role_that_somebody_changed_a_dropped_node_role_gets_its_policy_back(
    api: Api, bound: SmallAwsNode
) -> None:
    set_role(bound, TWO)

    bind(api, wanted(nodes=("nodes",)), wanted())

    assert bound.asked == ["AttachRolePolicy spot"]


@pytest.fixture
def made_anew(bound: SmallAwsNode) -> SmallAwsNode:
    """Bound; then a chart was installed again, with a role of its own."""
    bound.server.remove(ACCOUNT)
    bound.server.put(ACCOUNT, {"metadata": {"annotations": {ROLE: TWO}}}, "helm")
    return bound


def test_an_account_that_was_made_anew_fails_no_update_that_leaves_the_role_nor_its_rollback(
    api: Api, made_anew: SmallAwsNode
) -> None:
    made_anew.iam.roles["more"] = [CNI_POLICY]
    more = wanted(nodes=("more", *BOTH))

    outcome = bind(api, more, wanted())
    bind(api, wanted(), more)

    assert made_anew.asked == []
    assert outcome == Outcome((), TWO, BOTH)


def test_an_account_that_was_made_anew_fails_no_rollback_of_a_change_that_it_refused(
    api: Api, made_anew: SmallAwsNode
) -> None:
    other = wanted("arn:aws:iam::111122223333:role/three")
    with pytest.raises(Failure, match="must not have another role"):
        bind(api, other, wanted())

    bind(api, wanted(), other)

    assert made_anew.asked == []


def test_the_journal_of_another_stack_is_not_followed(api: Api, made_anew: SmallAwsNode) -> None:
    made_anew.iam.roles["theirs"] = []
    marks = {OWNER: "another#AwsNode", JOURNAL: f'{{"theirs":["{CNI_POLICY}"]}}'}
    made_anew.server.edit(ACCOUNT, {"metadata": {"annotations": marks}}, "irsa-stack")

    bind(api, wanted(), wanted())

    assert made_anew.asked == []


def test_an_account_that_was_made_anew_is_refused_to_a_new_resource(
    api: Api, made_anew: SmallAwsNode
) -> None:
    assert made_anew
    with pytest.raises(Failure, match="must not have another role"):
        bind(api)


# Releasing


def test_gives_the_policies_back_before_it_takes_the_role(api: Api, bound: SmallAwsNode) -> None:
    release(api)

    assert bound.asked == [
        "PATCH serviceaccounts",
        "AttachRolePolicy nodes",
        "AttachRolePolicy spot",
        "PATCH serviceaccounts",
        "POST pods",
        "PATCH daemonsets",
        "PATCH serviceaccounts",
    ]


def test_leaves_everything_as_it_was_before_the_binding(api: Api, aws_node: SmallAwsNode) -> None:
    before = aws_node.state()

    bind(api)
    release(api)

    assert {**aws_node.state(), "node roles": policies(aws_node)} == {
        **before,
        "node roles": WITH_POLICY,
    }


def test_the_journal_goes_last(api: Api, bound: SmallAwsNode) -> None:
    seen: list[bool] = []

    def look(method: str, path: str) -> None:
        if (method, path) == ("PATCH", DAEMON_SET):
            seen.append(JOURNAL in bound.annotations)

    bound.server.trouble = look

    release(api)

    assert seen == [True]
    assert bound.annotations == {}


def test_releasing_again_writes_nothing(api: Api, bound: SmallAwsNode) -> None:
    release(api)
    bound.server.requests.clear()

    release(api)

    assert bound.asked == []


def test_what_was_never_bound_is_not_touched(api: Api, aws_node: SmallAwsNode) -> None:
    aws_node.iam.roles["spot"].clear()

    release(api, surely_bound=False)

    assert aws_node.asked == []


@pytest.mark.parametrize(
    ("surely_bound", "attached"),
    [(True, [CNI_POLICY]), (False, [])],
    ids=["bound", "perhaps bound"],
)
def test_a_lost_journal_gives_back_every_policy_that_was_surely_bound(
    api: Api, bound: SmallAwsNode, *, surely_bound: bool, attached: list[str]
) -> None:
    bound.server.edit(ACCOUNT, {"metadata": {"annotations": {JOURNAL: None}}})

    release(api, surely_bound=surely_bound)

    assert bound.iam.roles["spot"] == attached


def test_gives_back_only_what_the_journal_says(api: Api, aws_node: SmallAwsNode) -> None:
    aws_node.iam.roles["spot"].clear()

    bind(api)
    release(api)

    assert aws_node.iam.roles["spot"] == []


def test_a_role_that_somebody_changed_stays(api: Api, bound: SmallAwsNode) -> None:
    set_role(bound, TWO)

    release(api)

    assert bound.annotations == {ROLE: TWO}


def test_pods_get_the_role_that_somebody_set(api: Api, bound: SmallAwsNode) -> None:
    set_role(bound, TWO)

    release(api)

    assert roles_of_pods(bound) == [("node-1", TWO), ("node-2", TWO)]


@pytest.mark.parametrize("stack_id", [STACK_ID, "another"])
def test_an_account_of_another_resource_is_left_alone(
    api: Api, bound: SmallAwsNode, stack_id: str
) -> None:
    before = bound.annotations

    of(api, "Other", stack_id).release(wanted(TWO), surely_bound=False)

    assert bound.asked == []
    assert bound.annotations == before


def test_what_was_surely_detached_comes_back_though_another_resource_has_the_account(
    api: Api, bound: SmallAwsNode
) -> None:
    bound.server.edit(ACCOUNT, {"metadata": {"annotations": {OWNER: "another#AwsNode"}}})

    release(api)

    assert policies(bound) == WITH_POLICY
    assert bound.annotations[OWNER] == "another#AwsNode"


def test_the_binder_does_not_take_over_what_a_rebinding_holds(bound: SmallAwsNode) -> None:
    adopted = account("kube-system/aws-node", "ADOPT", TWO, Force="true")

    with pytest.raises(Failure, match=r"got it bound by .*#AwsNode, an AwsNodeRebinding; remove"):
        run(bound.cluster.connection, "Create", adopted)

    assert bound.asked == []


def test_a_rebinding_does_not_take_over_what_the_binder_holds(
    api: Api, aws_node: SmallAwsNode
) -> None:
    run(aws_node.cluster.connection, "Create", account("kube-system/aws-node", "ADOPT", TWO))

    with pytest.raises(Failure, match=r"must be bound by one rebinding, got it bound by .*#B"):
        bind(api)


@pytest.mark.parametrize("gone", [(ACCOUNT,), (DAEMON_SET,), (ACCOUNT, DAEMON_SET)])
def test_the_policies_come_back_when_aws_node_is_gone(
    api: Api, bound: SmallAwsNode, gone: tuple[str, ...]
) -> None:
    for path in gone:
        bound.server.remove(path)

    release(api)

    assert policies(bound) == WITH_POLICY


def test_a_daemon_set_that_is_gone_keeps_no_role_on_the_account(
    api: Api, bound: SmallAwsNode
) -> None:
    bound.server.remove(DAEMON_SET)

    release(api)

    assert bound.annotations == {}


def test_a_node_role_that_is_gone_is_success(api: Api, bound: SmallAwsNode) -> None:
    del bound.iam.roles["spot"]

    release(api)

    assert bound.iam.roles == {"nodes": [WORKER_POLICY, CNI_POLICY]}
    assert bound.annotations == {}


def test_an_attachment_that_is_denied_stops_before_the_role_goes(
    api: Api, bound: SmallAwsNode
) -> None:
    bound.iam.denied.add("AttachRolePolicy")

    before = {**bound.annotations, EVENTS: ""}

    with pytest.raises(Failure, match=r"^give policies back to node roles: iam:AttachRolePolicy"):
        release(api)

    assert bound.asked == ["PATCH serviceaccounts"]
    assert {**bound.annotations, EVENTS: ""} == before


def test_an_account_that_changes_meanwhile_is_decided_anew(api: Api, bound: SmallAwsNode) -> None:
    changes = [TWO]

    def change(method: str, path: str) -> None:
        if (method, path) == ("PATCH", ACCOUNT) and changes:
            set_role(bound, changes.pop())

    bound.server.trouble = change

    release(api)

    assert bound.annotations == {ROLE: TWO}


def test_an_account_that_goes_meanwhile_is_success(api: Api, bound: SmallAwsNode) -> None:
    def remove(method: str, path: str) -> None:
        if (method, path) == ("PATCH", ACCOUNT):
            bound.server.remove(ACCOUNT)

    bound.server.trouble = remove

    release(api)

    assert policies(bound) == WITH_POLICY


def test_an_account_that_always_changes_is_given_up(api: Api, bound: SmallAwsNode) -> None:
    conflict = refusal(409, "Conflict", "the object has been modified")

    def trouble(method: str, path: str) -> Reply | None:
        return conflict if (method, path) == ("PATCH", ACCOUNT) else None

    bound.server.trouble = trouble

    with pytest.raises(Conflict, match=r"^mark the service account: .*modified"):
        release(api)

    assert bound.asked.count("PATCH serviceaccounts") > 5


def test_another_refusal_is_not_asked_again(api: Api, bound: SmallAwsNode) -> None:
    once("PATCH", ACCOUNT, refusal(422, "Invalid", "no"))(bound)

    with pytest.raises(Failure, match=r"^mark the service account: .*'no'"):
        release(api)

    assert bound.asked == ["PATCH serviceaccounts"]


def test_a_webhook_that_is_behind_does_not_stop_a_release(api: Api, bound: SmallAwsNode) -> None:
    looks = 0

    def behind(account: dict[str, Any]) -> Any:
        nonlocal looks
        looks += 1
        restarted = template_role(bound.server.objects[DAEMON_SET]) is None
        return annotations_of(account) if restarted else {ROLE: ONE}

    bound.server.sees = behind

    release(api)

    assert looks > 1
    assert roles_of_pods(bound) == [("node-1", None), ("node-2", None)]


def test_a_pod_that_took_the_role_before_the_restart_is_restarted(
    api: Api, aws_node: SmallAwsNode
) -> None:
    # The function was killed after it annotated, and then a node was replaced.
    once("PATCH", DAEMON_SET, refusal(422, "Invalid", "killed"))(aws_node)
    with pytest.raises(Failure, match="killed"):
        bind(api)
    aws_node.server.remove(f"{PODS}/{aws_node.pods[0]['metadata']['name']}")
    aws_node.settle()
    assert {role for _, role in roles_of_pods(aws_node)} == {ONE, None}

    release(api, surely_bound=False)

    assert roles_of_pods(aws_node) == [("node-1", None), ("node-2", None)]


def test_no_pod_is_restarted_when_none_has_the_role(api: Api, aws_node: SmallAwsNode) -> None:
    once("PATCH", DAEMON_SET, refusal(422, "Invalid", "killed"))(aws_node)
    with pytest.raises(Failure, match="killed"):
        bind(api)
    aws_node.server.requests.clear()

    release(api, surely_bound=False)

    assert aws_node.asked == ["PATCH serviceaccounts"] * 3


@pytest.fixture
def stuck(api: Api, bound: SmallAwsNode) -> SmallAwsNode:
    """A release that did not end: the first new pod does not start, the other keeps the role."""

    def gated(pod: dict[str, Any], on: str) -> None:
        if on:
            pod["spec"]["schedulingGates"] = [{"name": "example.com/image-cannot-be-pulled"}]

    bound.tamper.do = gated
    told = (
        "^wait until no pod has the role: no pod may run as a role that goes away, got pods on "
        r"node-\d after 0 s \(pod aws-node-.{5} on node node-\d: Pending\); restart them"
    )
    with pytest.raises(Failure, match=told):
        release(api, wanted(seconds=0.4))
    bound.server.requests.clear()
    bound.tamper.do = bound.tamper.nothing
    return bound


def test_a_release_that_is_stuck_keeps_the_journal(stuck: SmallAwsNode) -> None:
    assert journal(stuck) == {"nodes": [CNI_POLICY], "spot": [CNI_POLICY]}


def test_a_release_that_was_stuck_ends_without_another_restart(
    api: Api, stuck: SmallAwsNode
) -> None:
    looks = itertools.count()
    (waiting,) = [pod for pod in stuck.pods if pod["status"]["phase"] == "Pending"]

    def replaced(method: str, _path: str) -> None:
        # After the dry run, while the release waits.
        if stuck.asked and method == "GET" and next(looks) == 3:
            stuck.server.remove(f"{PODS}/{waiting['metadata']['name']}")

    stuck.server.trouble = replaced

    release(api)

    assert stuck.asked == ["PATCH serviceaccounts", "POST pods", "PATCH serviceaccounts"]
    assert roles_of_pods(stuck) == [("node-1", None), ("node-2", None)]


def test_a_new_pod_that_is_not_ready_does_not_keep_the_stack(api: Api, bound: SmallAwsNode) -> None:
    last = bound.pods[-1]["spec"]["nodeName"]

    def gated(pod: dict[str, Any], on: str) -> None:
        if on == last:
            pod["spec"]["schedulingGates"] = [{"name": "example.com/image-cannot-be-pulled"}]

    bound.tamper.do = gated

    release(api)

    assert bound.annotations == {}
