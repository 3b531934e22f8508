"""The aws-node custom resource: one event is one transaction, and undone as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_node import on_event
from aws_node.on_event import _previous, physical_id, unfinished_id, work
from custom_resource import Answer, Deadline, Failure, Request
from tests.support.api_server import Reply, refusal
from tests.support.aws_node import (
    ACCOUNT,
    CNI_POLICY,
    DAEMON_SET,
    ONE,
    ROLE,
    TWO,
    WORKER_POLICY,
)
from tests.support.aws_node_faults import FAULTS, SICK_NODE, once
from tests.support.cloudformation import Context, ResponseUrl, event

if TYPE_CHECKING:
    from tests.support.small_cluster import SmallAwsNode

CLUSTER = {
    "Name": "orders-prod",
    "Endpoint": "https://127.0.0.1:1",
    "CertificateAuthorityData": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==",
}


def request(
    kind: str,
    properties: dict[str, Any],
    *,
    physical: str | None = None,
    old: dict[str, Any] | None = None,
) -> Request:
    return Request(
        type=kind,
        physical_id=physical,
        properties=properties,
        old_properties=old or {},
        stack_id="arn:aws:cloudformation:eu-west-1:111122223333:stack/orders/1",
        logical_id="AwsNode",
        request_id="1",
    )


def test_the_id_names_the_cluster() -> None:
    assert physical_id(request("Create", {"Cluster": CLUSTER})) == "orders-prod/aws-node"


def test_a_failed_creation_is_known_by_its_id() -> None:
    asked = request("Create", {"Cluster": CLUSTER})
    assert unfinished_id(asked) == "orders-prod/aws-node/unfinished/1"


def test_deleting_what_can_never_have_been_bound_is_success() -> None:
    asked = request("Delete", {"Cluster": {}}, physical="orders-prod/aws-node/unfinished")
    assert work(asked, Deadline(1)) == Answer("orders-prod/aws-node/unfinished")


def test_creating_without_a_cluster_is_refused() -> None:
    with pytest.raises(Failure, match="Cluster"):
        work(request("Create", {}), Deadline(1))


@pytest.mark.parametrize(
    ("kind", "physical", "old"),
    [
        ("Create", None, {}),
        ("Update", "another/aws-node", {"Cluster": CLUSTER, "RoleArn": "arn"}),
        ("Update", "orders-prod/aws-node", {}),
    ],
)
def test_nothing_was_bound_before(kind: str, physical: str | None, old: dict[str, Any]) -> None:
    assert _previous(request(kind, {"Cluster": CLUSTER}, physical=physical, old=old)) is None


def test_answers_cloudformation_once_with_what_was_found(aws_node: SmallAwsNode) -> None:
    with ResponseUrl() as url:
        on_event.handle(event("Create", url.url, aws_node.properties()), Context())

    answer = url.only_response
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "rehearsal/aws-node"
    assert answer["Data"] == {"NodesChecked": "2", "RoleSeen": ONE, "DetachedFrom": "nodes,spot"}


def test_answers_a_failed_creation_with_its_own_id(aws_node: SmallAwsNode) -> None:
    aws_node.server.remove(DAEMON_SET)

    with ResponseUrl() as url:
        on_event.handle(event("Create", url.url, aws_node.properties()), Context())

    answer = url.only_response
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"].startswith("rehearsal/aws-node/unfinished/")
    assert answer["Reason"].endswith("nothing had been changed")


def test_without_node_roles_it_says_none(aws_node: SmallAwsNode) -> None:
    answer = aws_node.deploy("Create", aws_node.properties(NodeRoleNames=[]))

    assert answer.data["DetachedFrom"] == "none"


@pytest.mark.parametrize("name", FAULTS)
def test_a_failed_creation_is_undone(aws_node: SmallAwsNode, name: str) -> None:
    fault, properties = FAULTS[name], aws_node.properties()
    fault.arrange(aws_node)
    before = _state(aws_node)

    with aws_node.watched():
        reason = aws_node.deploy_failing(
            "Create", {**properties, "RolloutTimeoutSeconds": str(fault.seconds)}
        )

    told = "nothing had been changed" if not fault.asked else "everything done before was undone"
    assert reason.startswith(f"{fault.step}: ")
    assert reason.endswith(f"; {told}")
    assert _state(aws_node) == before


@pytest.mark.parametrize(
    "name", ["a pod has no role", "the rollout is stuck on one node", "restarting is forbidden"]
)
def test_a_failed_change_of_role_goes_back_to_the_role_before(
    aws_node: SmallAwsNode, name: str
) -> None:
    fault = FAULTS[name]
    aws_node.deploy("Create")
    before = _state(aws_node)
    fault.arrange(aws_node)
    tamper = aws_node.tamper.do
    aws_node.tamper.do = lambda pod, on: tamper(pod, on) if TWO in str(pod["spec"]) else None
    other = aws_node.properties(RoleArn=TWO, RolloutTimeoutSeconds=str(fault.seconds))

    with aws_node.watched():
        reason = aws_node.deploy_failing("Update", other)

    assert reason.startswith(f"{fault.step}: ")
    assert reason.endswith("everything done before was undone")
    assert _state(aws_node) == before


def test_a_role_that_somebody_set_meanwhile_survives_the_undoing(aws_node: SmallAwsNode) -> None:
    def change(_: dict[str, Any], on: str) -> None:
        if on == SICK_NODE:
            aws_node.server.edit(ACCOUNT, {"metadata": {"annotations": {ROLE: TWO}}})

    aws_node.tamper.do = change

    with aws_node.watched():
        aws_node.deploy_failing("Create")

    assert aws_node.annotations == {ROLE: TWO}
    assert _state(aws_node)["node roles"] == {
        "nodes": {WORKER_POLICY, CNI_POLICY},
        "spot": {CNI_POLICY},
    }


def test_an_undoing_that_fails_too_is_told(aws_node: SmallAwsNode) -> None:
    aws_node.iam.denied.update({"DetachRolePolicy spot", "AttachRolePolicy nodes"})

    reason = aws_node.deploy_failing("Create")

    assert reason.startswith("detach the policies from the node roles: iam:DetachRolePolicy spot")
    assert "; undoing what was done before stopped at: give policies back to node roles: " in reason


def test_a_long_reason_leaves_room_for_what_was_undone(aws_node: SmallAwsNode) -> None:
    once("PATCH", DAEMON_SET, refusal(422, "Invalid", "x" * 5000))(aws_node)

    reason = aws_node.deploy_failing("Create")

    assert len(reason) == 1500 + len("; everything done before was undone")


def test_keeps_time_to_undo(aws_node: SmallAwsNode) -> None:
    FAULTS["the rollout is stuck on one node"].arrange(aws_node)
    before = _state(aws_node)

    reason = aws_node.deploy_failing("Create", seconds=2.0)

    assert reason.startswith("wait for the rollout: ")
    assert reason.endswith("everything done before was undone")
    assert _state(aws_node) == before


def test_the_rollback_of_a_failed_creation_finds_nothing_to_do(aws_node: SmallAwsNode) -> None:
    aws_node.iam.denied.add("DetachRolePolicy")
    aws_node.deploy_failing("Create")
    aws_node.server.requests.clear()

    answer = aws_node.roll_back_create()

    assert answer == Answer("rehearsal/aws-node/unfinished/create")
    assert aws_node.asked == []


def test_an_update_that_changes_nothing_writes_nothing(aws_node: SmallAwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.server.requests.clear()

    aws_node.deploy("Update", aws_node.properties(RolloutTimeoutSeconds="20"))

    assert aws_node.asked == []


def test_a_delete_gives_all_back(aws_node: SmallAwsNode) -> None:
    before = _state(aws_node)
    aws_node.deploy("Create")

    with aws_node.watched():
        answer = aws_node.deploy("Delete")

    assert answer == Answer("rehearsal/aws-node")
    assert _state(aws_node) == before


def test_a_delete_names_the_step_that_failed(aws_node: SmallAwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.iam.denied.add("AttachRolePolicy")

    assert aws_node.deploy_failing("Delete").startswith("give policies back to node roles: ")


@pytest.mark.parametrize(
    ("physical", "attached"),
    [("rehearsal/aws-node", [CNI_POLICY]), ("rehearsal/aws-node/unfinished", [])],
)
def test_a_cluster_that_is_gone_gives_back_what_was_surely_detached(
    aws_node: SmallAwsNode, monkeypatch: pytest.MonkeyPatch, physical: str, attached: list[str]
) -> None:
    aws_node.deploy("Create")
    _unreachable(aws_node, monkeypatch, gone=True)

    aws_node.deploy("Delete", physical_id=physical)

    assert aws_node.iam.roles["spot"] == attached


def test_a_cluster_that_only_does_not_answer_fails_the_delete_with_the_ways_out(
    aws_node: SmallAwsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_node.deploy("Create")
    _unreachable(aws_node, monkeypatch, gone=False)

    reason = aws_node.deploy_failing("Delete")

    assert "must answer, got 'bad gateway'" in reason
    assert "; then delete again, or delete the stack and retain AwsNode, which leaves" in reason
    assert aws_node.iam.roles["spot"] == []


def _state(node: SmallAwsNode) -> dict[str, Any]:
    roles = {name: set(arns) for name, arns in node.iam.roles.items()}
    return {**node.state(), "node roles": roles}


def _unreachable(node: SmallAwsNode, patch: pytest.MonkeyPatch, *, gone: bool) -> None:
    node.server.trouble = lambda _method, _path: Reply(502, "bad gateway")
    patch.setattr(on_event, "is_gone", lambda _: gone)
