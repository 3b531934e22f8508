"""Two faults at once, late events, and objects in odd states, while `aws-node` is bound.

The tests run on the small cluster and, in tests/e2e/aws_node, on real API servers.

Each docstring names the finding of the fault hunt that the test failed for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_node import account, transaction
from aws_node.node_roles import NodeRoles
from custom_resource import Failure
from kubernetes_api.connection import Api
from tests.support.aws_node import (
    ACCOUNT,
    CNI_POLICY,
    EVENTS,
    ONE,
    PODS,
    ROLE,
    TWO,
    WORKER_POLICY,
)
from tests.support.replies import Reply, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.aws_node import AwsNode

WITH_POLICY = {"nodes": {WORKER_POLICY, CNI_POLICY}, "spot": {CNI_POLICY}}
WITHOUT_POLICY = {"nodes": {WORKER_POLICY}, "spot": set()}
UNDONE = "everything done before was undone"


def node_roles(node: AwsNode) -> dict[str, set[str]]:
    return {name: set(arns) for name, arns in node.iam.roles.items()}


def state(node: AwsNode) -> dict[str, Any]:
    return {**node.state(), "node roles": node_roles(node)}


def at_first(action: str, do: Callable[[], object]) -> Callable[[Any], None]:
    """Do something before the first change of a kind in IAM."""
    done: list[str] = []

    def before(call: Any) -> None:
        if call.action == action and not done:
            done.append(action)
            do()

    return before


def after_one_detachment(node: AwsNode, do: Callable[[], object]) -> None:
    """Do something when one policy is detached, and the account is read again before the next."""
    done: list[str] = []

    def trouble(method: str, path: str) -> None:
        if (method, path) == ("GET", ACCOUNT) and not done and node_roles(node) != WITH_POLICY:
            done.append(path)
            do()

    node.meet(trouble)


def replace_account(node: AwsNode, role: str = ONE) -> None:
    """Somebody replaces the account by a manifest of his own."""
    node.delete(ACCOUNT)
    node.make_account({ROLE: role}, "kubectl-replace")


# Events that overlap, or come late


def test_an_update_that_is_delivered_once_more_after_its_rollback_is_refused(
    aws_node: AwsNode,
) -> None:
    """F1, A31u: it was obeyed, and its role was gone."""
    two = aws_node.properties(RoleArn=TWO)
    aws_node.deploy("Create", event="create")
    aws_node.deploy("Update", two, event="update")
    aws_node.deploy("Update", old=two, event="rollback")
    before = state(aws_node)

    reason = aws_node.deploy_failing("Update", two, event="update")

    assert "must be the last one of AwsNode, got event rollback after it" in reason
    assert reason.endswith("nothing had been changed")
    assert state(aws_node) == before


def test_a_deletion_stops_the_creation_that_is_detaching(aws_node: AwsNode) -> None:
    """F1, A30, B5: both answered SUCCESS, and no node role had the policy."""
    before = state(aws_node)
    unanswered = "stack-AwsNode-1ABCDEFGH"
    after_one_detachment(aws_node, lambda: aws_node.deploy("Delete", physical_id=unanswered))

    with aws_node.watched():
        aws_node.deploy_failing("Create")

    assert state(aws_node) == before


def test_the_same_creation_twice_of_which_one_fails_leaves_the_network(
    aws_node: AwsNode,
) -> None:
    """F1, A33."""

    def fails() -> None:
        aws_node.iam.denied.add("DetachRolePolicy spot")
        aws_node.deploy_failing("Create", event="create")
        aws_node.iam.denied.clear()

    after_one_detachment(aws_node, fails)

    with aws_node.watched():
        aws_node.deploy_failing("Create", event="create")

    assert node_roles(aws_node) == WITH_POLICY


def test_a_late_deletion_of_a_failed_creation_leaves_what_a_later_creation_bound(
    aws_node: AwsNode,
) -> None:
    """F22, A47: `--no-rollback`, tried again: CREATE_COMPLETE, and not bound."""
    aws_node.iam.denied.add("DetachRolePolicy")
    aws_node.deploy_failing("Create", event="first")
    aws_node.iam.denied.clear()
    aws_node.deploy("Create", event="second")
    before = state(aws_node)

    aws_node.roll_back_create(created_by="first")

    assert state(aws_node) == before


def test_the_deletion_of_a_failed_creation_whose_undoing_failed_ends_it(
    aws_node: AwsNode,
) -> None:
    before = state(aws_node)
    aws_node.iam.denied |= {"DetachRolePolicy spot", "AttachRolePolicy nodes"}
    aws_node.deploy_failing("Create", event="first")
    aws_node.iam.denied.clear()

    aws_node.roll_back_create(created_by="first")

    assert state(aws_node) == before


def test_events_are_remembered_newest_first(aws_node: AwsNode) -> None:
    aws_node.deploy("Create", event="create")
    aws_node.deploy("Update", aws_node.properties(RoleArn=TWO), event="update")

    assert aws_node.annotations[EVENTS] == "update create"


def test_the_rollback_of_a_move_that_was_killed_cleans_up_where_it_went(
    aws_node: AwsNode,
) -> None:
    """F14, A41: the node role over there stayed without the policy."""
    before = state(aws_node)
    green = {**aws_node.cluster.connection, "Name": "green"}
    moved = aws_node.properties(Cluster=green)
    # The one cluster plays both: only what was bound there is there.
    aws_node.deploy("Create", moved, event="move")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            transaction.Transaction,
            "bind",
            lambda *_: transaction.Outcome((), ONE, ()),
        )
        aws_node.deploy("Update", old=moved)

    assert state(aws_node) == before


# Somebody else at the same time


def test_an_account_that_was_replaced_during_the_rollout_stops_before_a_policy_goes(
    aws_node: AwsNode,
) -> None:
    """F4, A09: the role is right, and our marks and the journal are gone."""

    done: list[str] = []

    def replaced(_: dict[str, Any], on: str) -> None:
        if on and not done:
            done.append(on)
            replace_account(aws_node)

    aws_node.tamper.do = replaced

    with aws_node.watched():
        reason = aws_node.deploy_failing("Create")

    assert reason.startswith("verify the pods: kube-system/aws-node must keep our annotations")
    assert node_roles(aws_node) == WITH_POLICY


@pytest.mark.parametrize("denied", [set(), {"DetachRolePolicy spot"}])
def test_what_was_detached_comes_back_though_the_journal_was_lost_meanwhile(
    aws_node: AwsNode, denied: set[str]
) -> None:
    """F4: undo knew only the journal on the account."""
    aws_node.iam.before_change = at_first("DetachRolePolicy", lambda: replace_account(aws_node))
    aws_node.iam.denied |= denied

    reason = aws_node.deploy_failing("Create")

    assert reason.endswith(UNDONE)
    assert node_roles(aws_node) == WITH_POLICY


def test_the_second_of_two_stacks_at_once_is_refused(aws_node: AwsNode) -> None:
    """F5, A02: both answered SUCCESS, and the first one's role was gone."""
    done: list[str] = []

    def first(method: str, path: str) -> None:
        if (method, path) == ("PATCH", ACCOUNT) and not done:
            done.append(path)
            aws_node.deploy("Create", stack_id="another")

    aws_node.meet(first)

    reason = aws_node.deploy_failing("Create", aws_node.properties(RoleArn=TWO))

    assert "must be bound by one rebinding, got it bound by another#AwsNode" in reason
    assert aws_node.annotations[ROLE] == ONE
    assert node_roles(aws_node) == WITHOUT_POLICY


def test_an_account_that_is_being_deleted_is_waited_for_and_told(aws_node: AwsNode) -> None:
    """F9, A42: bound, policies detached, then no account."""
    aws_node.edit(ACCOUNT, {"metadata": {"finalizers": ["example.com/hold"]}})
    aws_node.delete(ACCOUNT, wait=False)

    reason = aws_node.deploy_failing("Create")

    assert "the service account kube-system/aws-node must exist, got one that is being" in reason
    assert node_roles(aws_node) == WITH_POLICY
    aws_node.edit(ACCOUNT, {"metadata": {"finalizers": None}})


def test_a_writer_that_does_not_pause_is_out_waited(
    aws_node: AwsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F17, A48."""
    monkeypatch.setattr(account, "FIGHT_SECONDS", 20.0)
    left = [30]

    def writes_first(method: str, path: str) -> None:
        if (method, path) == ("PATCH", ACCOUNT) and left[0]:
            left[0] -= 1
            labels = {"n": str(left[0])}
            aws_node.edit(ACCOUNT, {"metadata": {"labels": labels}})

    aws_node.meet(writes_first)

    aws_node.deploy("Create")

    assert left == [0]
    assert aws_node.annotations[ROLE] == ONE


def test_policies_that_the_rebinding_does_not_name_are_not_attached(
    aws_node: AwsNode, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finding 11 of the security review: whoever may write the account may write the journal."""
    aws_node.deploy("Create")
    aws_node.iam.roles["break-glass"] = []
    forged = (
        f'{{"break-glass":["arn:aws:iam::aws:policy/AdministratorAccess"],"spot":["{CNI_POLICY}"]}}'
    )
    key = "irsa-stack/detached-policies"
    aws_node.edit(ACCOUNT, {"metadata": {"annotations": {key: forged}}})

    aws_node.deploy("Delete")

    assert aws_node.iam.roles["break-glass"] == []
    assert aws_node.iam.roles["spot"] == [CNI_POLICY]
    assert "not ours to attach" in capsys.readouterr().out


# What is no refusal


@pytest.mark.parametrize("error", [KeyError("items"), TypeError("None")])
def test_whatever_goes_wrong_is_undone(
    aws_node: AwsNode, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """F7, A37: pods restarted, one of two policies detached, nothing undone."""
    before = state(aws_node)
    detach = NodeRoles.detach

    def breaks(self: NodeRoles, attachment: Any) -> None:
        if attachment.role == "spot":
            raise error
        detach(self, attachment)

    monkeypatch.setattr(NodeRoles, "detach", breaks)

    with aws_node.watched(), pytest.raises(type(error)):
        aws_node.deploy("Create")

    assert state(aws_node) == before


def test_a_write_whose_answer_is_lost_is_undone(
    aws_node: AwsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13, A38: told "nothing had been changed" while the account was annotated."""
    before = state(aws_node)
    request = Api.request
    lost: list[str] = []

    def loses(self: Api, method: str, path: str, *args: Any, **named: Any) -> Any:
        answer = request(self, method, path, *args, **named)
        if (method, path) == ("PATCH", ACCOUNT) and not lost and self is not aws_node.cluster.admin:
            lost.append(path)
            raise Failure("no answer")
        return answer

    monkeypatch.setattr(Api, "request", loses)

    reason = aws_node.deploy_failing("Create")

    assert reason == f"annotate the service account: no answer; {UNDONE}"
    assert state(aws_node) == before


def test_a_pod_that_admission_refuses_is_told_before_any_is_restarted(
    aws_node: AwsNode,
) -> None:
    """F3, A14: "see why its pods do not become ready, or raise rollout_timeout"."""
    said = 'pods "x" is forbidden: violates PodSecurity "baseline:latest"'
    reply = refusal(403, "Forbidden", said)
    aws_node.meet(lambda method, path: reply if (method, path) == ("POST", PODS) else None)
    pods = [pod["metadata"]["name"] for pod in aws_node.pods]

    reason = aws_node.deploy_failing("Create")

    assert said in reason
    assert reason.startswith("see the new role in a dry run: ")
    assert [pod["metadata"]["name"] for pod in aws_node.pods] == pods


def test_trouble_after_the_last_detachment_undoes_nothing(aws_node: AwsNode) -> None:
    """A36: the pods were listed once more, and trouble there undid a finished transaction."""
    detached: list[str] = []
    aws_node.iam.before_change = lambda call: detached.append(call.role)

    def trouble(method: str, path: str) -> Reply | None:
        late = len(detached) == 2 and (method, path) == ("GET", PODS)
        return refusal(422, "Invalid", "no") if late else None

    aws_node.meet(trouble)

    assert aws_node.deploy("Create").data["DetachedFrom"] == "nodes,spot"


# IAM as it is


def test_a_list_that_is_late_does_not_keep_the_policy_away(aws_node: AwsNode) -> None:
    """F2, A26: after an undoing, no node had a network."""
    aws_node.iam.listed = {name: list(arns) for name, arns in aws_node.iam.roles.items()}
    aws_node.iam.denied.add("DetachRolePolicy spot")

    with aws_node.watched():
        reason = aws_node.deploy_failing("Create")

    assert reason.endswith(UNDONE)
    assert node_roles(aws_node) == WITH_POLICY


def test_a_deletion_soon_after_a_creation_gives_the_policies_back(aws_node: AwsNode) -> None:
    """F2, A26b."""
    aws_node.iam.listed = {name: list(arns) for name, arns in aws_node.iam.roles.items()}
    aws_node.deploy("Create")

    with aws_node.watched():
        aws_node.deploy("Delete")

    assert node_roles(aws_node) == WITH_POLICY


@pytest.mark.parametrize("action", ["ListAttachedRolePolicies", "DetachRolePolicy"])
@pytest.mark.parametrize("code", ["Throttling", "ServiceUnavailable", "ConcurrentModification"])
def test_an_iam_that_is_busy_for_a_while_fails_no_deploy(
    aws_node: AwsNode, action: str, code: str
) -> None:
    """F8, A21: 4 seconds failed a deploy that has 15 minutes."""
    aws_node.iam.busy[action] = [code] * 6

    aws_node.deploy("Create")

    assert node_roles(aws_node) == WITHOUT_POLICY
