"""aws-node's transaction on real API servers: each step, each fault, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_node import node_roles, rebinding
from custom_resource import Failure
from kubernetes_api import restart
from kubernetes_api.connection import Api, ApiError
from tests.e2e.harness.pod_identity import pod_identity_webhook
from tests.support.aws_node import OTHER, OWN, AwsNode
from tests.support.binder import ROLE
from tests.support.iam_recorder import CNI_POLICY, RecordingIam
from tests.support.interruption import killed_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.harness.kubernetes import Cluster as ControlPlane
    from tests.support.rehearsed import Rehearsed

OWNER, DETACHED = "irsa-stack/owner", "irsa-stack/detached"


@pytest.fixture(scope="module", autouse=True)
def _webhook(plane: ControlPlane) -> Iterator[None]:
    with pod_identity_webhook(plane, region="eu-west-1"):
        yield
        plane.kubectl("delete", "mutatingwebhookconfiguration", "pod-identity-webhook")


@pytest.fixture
def aws_node(cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsNode]:
    iam = RecordingIam(nodes=[CNI_POLICY, "arn:aws:iam::aws:policy/Other"], spot=[CNI_POLICY])
    monkeypatch.setattr(node_roles, "iam_client", lambda: iam)
    monkeypatch.setattr(rebinding, "IAM_SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", 0.1)
    monkeypatch.setattr(restart, "_POLL_SECONDS", 0.1)
    cluster.allow_once("kube-system")
    installed = AwsNode(cluster, iam)
    installed.install()
    yield installed
    cluster.switch_webhook(on=True)
    installed.remove()


def test_moves_aws_node_to_its_role_and_tells_the_pods_view(aws_node: AwsNode) -> None:
    with aws_node.watched():
        answer = aws_node.deploy("Create")

    assert answer.physical_id == "rehearsal/aws-node"
    assert answer.data == {
        "NodesChecked": "1",
        "RoleSeen": OWN,
        "DetachedFrom": "nodes,spot",
    }
    assert aws_node.pod_roles == {OWN}
    assert aws_node.iam.roles == {"nodes": ["arn:aws:iam::aws:policy/Other"], "spot": []}


def test_annotates_then_restarts_then_detaches(aws_node: AwsNode) -> None:
    start = aws_node.cluster.audit_position()

    aws_node.deploy("Create")

    assert aws_node.cluster.writes(start) == [
        ("patch", "serviceaccounts", "aws-node"),
        ("patch", "daemonsets", "aws-node"),
        ("patch", "serviceaccounts", "aws-node"),  # what is about to be detached
    ]
    assert aws_node.iam.calls == [
        ("DetachRolePolicy", "nodes", "AmazonEKS_CNI_Policy"),
        ("DetachRolePolicy", "spot", "AmazonEKS_CNI_Policy"),
    ]


def test_destroy_leaves_everything_as_it_was(aws_node: AwsNode) -> None:
    before = aws_node.state()
    uid = _uid(aws_node)
    aws_node.deploy("Create")

    with aws_node.watched():
        aws_node.deploy("Delete")

    assert aws_node.state() == before
    assert _uid(aws_node) == uid
    assert aws_node.iam.calls[2:] == [
        ("AttachRolePolicy", "nodes", "AmazonEKS_CNI_Policy"),
        ("AttachRolePolicy", "spot", "AmazonEKS_CNI_Policy"),
    ]


def test_the_same_role_again_writes_nothing(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    start, calls = aws_node.cluster.audit_position(), len(aws_node.iam.calls)

    answer = aws_node.deploy("Update", old={})

    assert aws_node.cluster.writes(start) == []
    assert len(aws_node.iam.calls) == calls
    assert answer.data["DetachedFrom"] == "nodes,spot"


def test_another_role_restarts_once(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    start = aws_node.cluster.audit_position()

    with aws_node.watched():
        aws_node.deploy("Update", RoleArn=OTHER, old={})

    assert aws_node.cluster.writes(start) == [
        ("patch", "serviceaccounts", "aws-node"),
        ("patch", "daemonsets", "aws-node"),
    ]
    assert aws_node.pod_roles == {OTHER}


def test_a_node_role_that_is_added_loses_the_policy(aws_node: AwsNode) -> None:
    aws_node.deploy("Create", NodeRoleNames=["nodes"])

    answer = aws_node.deploy("Update", old={"NodeRoleNames": ["nodes"]})

    assert aws_node.iam.calls[1:] == [("DetachRolePolicy", "spot", "AmazonEKS_CNI_Policy")]
    assert answer.data["DetachedFrom"] == "nodes,spot"


def test_a_node_role_that_is_no_longer_asked_for_gets_the_policy_back(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")

    answer = aws_node.deploy("Update", NodeRoleNames=["nodes"], old={})

    assert aws_node.iam.calls[2:] == [("AttachRolePolicy", "spot", "AmazonEKS_CNI_Policy")]
    assert answer.data["DetachedFrom"] == "nodes"


def test_a_new_cluster_has_no_node_role_to_detach_from(aws_node: AwsNode) -> None:
    answer = aws_node.deploy("Create", NodeRoleNames=[])

    assert answer.data == {"NodesChecked": "1", "RoleSeen": OWN, "DetachedFrom": "none"}
    assert aws_node.iam.calls == []


def test_a_policy_that_was_not_attached_is_not_attached_on_delete(aws_node: AwsNode) -> None:
    aws_node.iam.roles["spot"] = []
    aws_node.deploy("Create")

    aws_node.deploy("Delete")

    assert aws_node.iam.roles["spot"] == []


def test_an_annotation_that_somebody_changed_is_left_on_delete(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    change = {"annotations": {ROLE: OTHER}}
    aws_node.cluster.patch_account("kube-system/aws-node", change, "kubectl-annotate")

    with aws_node.watched():
        aws_node.deploy("Delete")

    assert aws_node.annotations == {ROLE: OTHER}
    assert aws_node.pod_roles == {OTHER}
    assert CNI_POLICY in aws_node.iam.roles["nodes"]


def test_refuses_an_account_that_has_another_role(aws_node: AwsNode) -> None:
    change = {"annotations": {ROLE: OTHER}}
    aws_node.cluster.patch_account("kube-system/aws-node", change, "eksctl")
    before = aws_node.state()

    with pytest.raises(Failure, match=r"step 'annotate the service account' failed.*\(eksctl\)"):
        aws_node.deploy("Create")
    aws_node.deploy("Delete")

    assert aws_node.state() == before


def test_refuses_what_another_stack_has_bound_and_leaves_it(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    before = aws_node.state()
    stranger = {"stack_id": "arn:aws:cloudformation:eu-west-1:111122223333:stack/other/1"}

    with pytest.raises(Failure, match="annotate the service account"):
        aws_node.deploy("Create", RoleArn=OTHER, **stranger)
    aws_node.deploy("Delete", RoleArn=OTHER, **stranger)

    assert aws_node.state() == before


def test_a_renamed_construct_takes_over_and_the_old_one_lets_go(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")

    with aws_node.watched():
        aws_node.deploy("Create", RoleArn=OTHER, logical_id="Renamed")
        aws_node.deploy("Delete")

    assert aws_node.annotations[ROLE] == OTHER
    assert aws_node.iam.roles["spot"] == []


@pytest.mark.parametrize("gone", ["daemonset", "serviceaccount", "both"])
def test_delete_succeeds_when_the_object_is_gone(aws_node: AwsNode, gone: str) -> None:
    aws_node.deploy("Create")
    for kind in ("daemonset", "serviceaccount"):
        if gone in (kind, "both"):
            aws_node.cluster.plane.kubectl("delete", "-nkube-system", kind, "aws-node")

    aws_node.deploy("Delete")

    if gone != "both":
        assert CNI_POLICY in aws_node.iam.roles["nodes"]


@pytest.mark.parametrize("count", [3, 50])
def test_checks_the_pod_of_every_node(aws_node: AwsNode, count: int) -> None:
    with aws_node.cluster.more_nodes(count - 1):
        aws_node.settle()

        with aws_node.watched():
            answer = aws_node.deploy("Create", seconds=240, RolloutTimeoutSeconds="200")
            aws_node.deploy("Delete", seconds=240, RolloutTimeoutSeconds="200")

    assert answer.data["NodesChecked"] == str(count)


def _failing(path: str, verb: str, message: str) -> Callable[[AwsNode, pytest.MonkeyPatch], None]:
    """The API server refuses one kind of request, once."""

    def arrange(_: AwsNode, patch: pytest.MonkeyPatch) -> None:
        original, failed = Api.request, []

        def request(self: Api, method: str, at: str, *args: Any, **named: Any) -> Any:
            if method == verb and at == path and not failed and self.deadline.seconds < 600:
                failed.append(at)
                raise ApiError(f"{method} {at}", 422, "Invalid", message)
            return original(self, method, at, *args, **named)

        patch.setattr(Api, "request", request)

    return arrange


def _stuck(aws_node: AwsNode, _: pytest.MonkeyPatch) -> None:
    # No new pod counts as available for an hour.
    aws_node.cluster.admin.merge(rebinding.DAEMON_SET, {"spec": {"minReadySeconds": 3600}})


def _without_webhook(aws_node: AwsNode, _: pytest.MonkeyPatch) -> None:
    aws_node.cluster.switch_webhook(on=False)


def _preset(aws_node: AwsNode, _: pytest.MonkeyPatch) -> None:
    variable = {"name": "AWS_ROLE_ARN", "value": OTHER}
    container = {"name": "aws-node", "image": "example.com/cni:1", "env": [variable]}
    spec = {"spec": {"template": {"spec": {"containers": [container]}}}}
    aws_node.cluster.admin.merge(rebinding.DAEMON_SET, spec)
    aws_node.settle()


def _deleted_by_hand(aws_node: AwsNode, _: pytest.MonkeyPatch) -> None:
    strategy = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
    aws_node.cluster.admin.merge(rebinding.DAEMON_SET, strategy)
    aws_node.settle()


def _denied(*operations: str) -> Callable[[AwsNode, pytest.MonkeyPatch], None]:
    return lambda aws_node, _: aws_node.iam.denied.update(operations)


def _no_node_role(aws_node: AwsNode, _: pytest.MonkeyPatch) -> None:
    del aws_node.iam.roles["spot"]


def _no_account(aws_node: AwsNode, _: pytest.MonkeyPatch) -> None:
    aws_node.cluster.plane.kubectl("delete", "-nkube-system", "serviceaccount", "aws-node")


FAULTS = {
    "listing the policies is denied": (_denied("ListAttachedRolePolicies"), "look", "AccessDenied"),
    "a node role does not exist": (_no_node_role, "look", "NoSuchEntity"),
    "the DaemonSet restarts nothing": (_deleted_by_hand, "look", "OnDelete"),
    "the account does not exist": (_no_account, "annotate", "must exist"),
    "annotating is refused": (
        _failing(rebinding.ACCOUNT, "PATCH", "no role"),
        "annotate",
        "no role",
    ),
    "restarting is refused": (
        _failing(rebinding.DAEMON_SET, "PATCH", "frozen"),
        "restart",
        "frozen",
    ),
    "the rollout is stuck on a node": (_stuck, "restart", "RolloutTimeoutSeconds"),
    "the pods got no role": (_without_webhook, "verify", r"\(None, None\)"),
    "the pods have another role": (_preset, "verify", "aws-node-other"),
    "listing the pods is refused": (
        _failing(rebinding.PODS, "GET", "no pods"),
        "verify",
        "no pods",
    ),
    "detaching is denied": (_denied("DetachRolePolicy"), "detach", "AccessDenied"),
    "detaching the second is denied": (
        _denied("DetachRolePolicy spot"),
        "detach",
        "node role spot",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_undoes_everything_before_it(
    aws_node: AwsNode, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    arrange, step, told = FAULTS[fault]
    arrange(aws_node, monkeypatch)
    before = aws_node.state()
    # No longer than the fault needs: the stuck rollout waits this long, and once more when undone.
    monkeypatch.setattr(rebinding, "_UNDO_SECONDS", 6.0)

    with (
        aws_node.watched(),
        pytest.raises(Failure, match=rf"step '{step}.* failed: .*{told}"),
    ):
        aws_node.deploy("Create", NodeRoleNames=["nodes", "spot"], RolloutTimeoutSeconds="6")

    after = aws_node.state()
    assert {**after, "pods": None} == {**before, "pods": None}
    aws_node.iam.denied.clear()
    aws_node.deploy("Delete", NodeRoleNames=["nodes", "spot"])
    assert aws_node.state()["node roles"] == before["node roles"]


@pytest.mark.parametrize("write", range(4))
def test_a_killed_create_is_undone_by_the_delete(aws_node: AwsNode, write: int) -> None:
    before = aws_node.state()

    with aws_node.watched():
        with killed_at(write):
            aws_node.deploy("Create")
        aws_node.deploy("Delete")

    assert aws_node.state() == before


@pytest.mark.parametrize("write", range(4))
def test_a_killed_update_is_undone_by_the_rollback(aws_node: AwsNode, write: int) -> None:
    aws_node.deploy("Create", NodeRoleNames=["nodes"])
    before = aws_node.state()

    with aws_node.watched():
        with killed_at(write):
            aws_node.deploy("Update", RoleArn=OTHER, old={"NodeRoleNames": ["nodes"]})
        aws_node.deploy("Update", NodeRoleNames=["nodes"], old={"RoleArn": OTHER})

    assert aws_node.state() == before


@pytest.mark.parametrize("write", range(5))
def test_a_killed_delete_ends_when_it_is_tried_again(aws_node: AwsNode, write: int) -> None:
    before = aws_node.state()
    aws_node.deploy("Create")

    with aws_node.watched():
        with killed_at(write):
            aws_node.deploy("Delete")
        aws_node.deploy("Delete")

    assert aws_node.state() == before


def test_killed_between_two_detachments_gives_both_back(aws_node: AwsNode) -> None:
    before = aws_node.state()

    class Killed(BaseException):
        pass

    def die() -> None:
        if aws_node.iam.calls:
            raise Killed

    aws_node.iam.before_write = die
    with pytest.raises(Killed):
        aws_node.deploy("Create")
    aws_node.iam.before_write = lambda: None
    assert aws_node.iam.roles["nodes"] == ["arn:aws:iam::aws:policy/Other"]

    with aws_node.watched():
        aws_node.deploy("Delete")

    assert aws_node.state() == before


def _uid(aws_node: AwsNode) -> str:
    assert aws_node.account
    return str(aws_node.account["metadata"]["uid"])
