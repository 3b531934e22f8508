"""Each step fails once; what was done before it is undone, and the CNI could always run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from aws_node import on_event
from kubernetes_api.connection import Api, ApiError, Unreachable
from tests.support.aws_node import (
    ACCOUNT,
    CNI_POLICY,
    DAEMON_SET,
    ONE,
    PODS,
    ROLE,
    TWO,
    WORKER_POLICY,
    nodes,
)
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.aws_node import AwsNode

    Arrange = Callable[[AwsNode, pytest.MonkeyPatch], None]

WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pod-identity-webhook"
RULES = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system"
SICK_NODE = "more-1"


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and the words in which it is told."""

    arrange: Arrange
    step: str
    told: str
    undone: str = "everything done before was undone"


def _broken(method: str, path: str, error: Callable[[], Exception]) -> Arrange:
    """One kind of request fails once."""

    def arrange(_: AwsNode, patch: pytest.MonkeyPatch) -> None:
        original, failed = Api.request, []

        def request(self: Api, verb: str, at: str, *args: Any, **named: Any) -> Any:
            ours = self.deadline.seconds < 300
            if (verb, at) == (method, path) and ours and not failed:
                failed.append(at)
                raise error()
            return original(self, verb, at, *args, **named)

        patch.setattr(Api, "request", request)

    return arrange


def _without_rights_to(resource: str, *verbs: str) -> Arrange:
    """RBAC lets the function do all but this."""
    every = {
        "serviceaccounts": {"get", "list", "patch"},
        "pods": {"get", "list", "create"},
        "daemonsets": {"get", "list", "patch"},
    }
    every[resource] -= set(verbs)
    rules = [
        {"apiGroups": ["apps" if name == "daemonsets" else ""], "resources": [name], "verbs": [*v]}
        for name, v in every.items()
    ]

    def arrange(node: AwsNode, _: pytest.MonkeyPatch) -> None:
        plane = node.cluster.plane
        metadata = {"name": "some-functions", "namespace": "kube-system"}
        plane.kubectl("delete", "rolebinding", "functions", "--namespace=kube-system")
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
        subject = {"kind": "ServiceAccount", "name": "functions", "namespace": "identities"}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "functions", "namespace": "kube-system"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "some-functions",
            },
            "subjects": [subject],
        }
        plane.apply({**role, "metadata": metadata, "rules": rules}, binding)

    return arrange


def _denied(*what: str) -> Arrange:
    return lambda node, _: node.iam.denied.update(what)


def _sick_node(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    """New pods of one node do not start: nobody plays kubelet for them."""

    def tamper(pod: dict[str, Any], on: str) -> None:
        carries = any("AWS_ROLE_ARN" in str(c.get("env")) for c in pod["spec"]["containers"])
        if on == SICK_NODE and carries:
            pod["metadata"].setdefault("annotations", {})["kwok.x-k8s.io/status"] = "custom"
            pod["spec"]["schedulingGates"] = [{"name": "example.com/image-cannot-be-pulled"}]

    node.tamper.do = tamper


def _pod_without_role(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    """The webhook misses the pod of one node."""

    def tamper(pod: dict[str, Any], on: str) -> None:
        if on == SICK_NODE:
            for container in pod["spec"]["containers"]:
                container.pop("env", None)

    node.tamper.do = tamper


def _pod_without_token(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    def tamper(pod: dict[str, Any], on: str) -> None:
        for container in pod["spec"]["containers"] if on == SICK_NODE else ():
            container["env"] = [v for v in container.get("env", ()) if "TOKEN" not in v["name"]]

    node.tamper.do = tamper


def _no_webhook(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    """The webhook sees no pod of any namespace."""
    found = node.cluster.admin.get(WEBHOOK)
    assert found
    nothing = {"matchLabels": {"there": "is-none"}}
    webhooks = [{**webhook, "namespaceSelector": nothing} for webhook in found["webhooks"]]
    node.cluster.admin.merge(WEBHOOK, {"webhooks": webhooks})
    node.annotate(role=ONE)
    wait_until(lambda: _dry_run_role(node) is None)
    node.annotate(role=None)


def _dry_run_role(node: AwsNode) -> str | None:
    template = node.daemon_set["spec"]["template"]  # type: ignore[index]
    body = {"metadata": {"generateName": "look-"}, "spec": template["spec"]}
    pod = node.cluster.admin.request("POST", PODS, body, query={"dryRun": "All"})
    env = pod["spec"]["containers"][0].get("env", ())
    return next((v["value"] for v in env if v["name"] == "AWS_ROLE_ARN"), None)


def _template_with_a_role(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    variable = {"name": "AWS_ROLE_ARN", "value": TWO}
    template = node.daemon_set["spec"]["template"]  # type: ignore[index]
    containers = [{**c, "env": [variable]} for c in template["spec"]["containers"]]
    spec = {"spec": {"template": {"spec": {"containers": containers}}}}
    node.cluster.admin.merge(DAEMON_SET, spec)
    node.settle()


def _on_delete(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    strategy = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
    node.cluster.admin.merge(DAEMON_SET, strategy)
    node.settle()


def _no_daemon_set(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    node.cluster.plane.kubectl("delete", "--namespace=kube-system", "daemonset", "aws-node")
    wait_until(lambda: not node.pods)


def _foreign_role(node: AwsNode, _: pytest.MonkeyPatch) -> None:
    node.annotate(role=TWO, manager="eksctl")


def _no_iam(_: AwsNode, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ENDPOINT_URL_IAM", "http://127.0.0.1:9")


def _typed_wrong(node: AwsNode, patch: pytest.MonkeyPatch) -> None:
    names = {"NodeRoleNames": ["nodse"]}
    given = node.properties(**names)
    patch.setattr(node, "properties", lambda **more: {**given, **more})


FAULTS = {
    "listing policies is denied": Fault(
        _denied("ListAttachedRolePolicies"),
        "read the policies of the node roles",
        "IAM says .not authorized to perform: iam:ListAttachedRolePolicies",
        "nothing had been changed",
    ),
    "IAM does not answer": Fault(
        _no_iam,
        "read the policies of the node roles",
        "check that this function's subnets have a way to IAM",
        "nothing had been changed",
    ),
    "a node role does not exist": Fault(
        _typed_wrong,
        "read the policies of the node roles",
        "NodeRoleNames must name roles of this account, got 'nodse'",
        "nothing had been changed",
    ),
    "there is no DaemonSet": Fault(
        _no_daemon_set,
        "find aws-node",
        "the DaemonSet kube-system/aws-node must exist",
        "nothing had been changed",
    ),
    "the DaemonSet replaces no pod": Fault(
        _on_delete,
        "check whose role aws-node has",
        "set its update strategy to RollingUpdate",
        "nothing had been changed",
    ),
    "somebody else gave it a role": Fault(
        _foreign_role,
        "check whose role aws-node has",
        "must not have another role, got .*aws-node-2' set by eksctl",
        "nothing had been changed",
    ),
    "RBAC forbids to annotate": Fault(
        _without_rights_to("serviceaccounts", "patch"),
        "annotate the service account",
        'cannot patch resource "serviceaccounts"',
    ),
    "the API server refuses to annotate": Fault(
        _broken("PATCH", ACCOUNT, lambda: ApiError("PATCH", 422, "Invalid", "no such thing")),
        "annotate the service account",
        "Kubernetes says 'no such thing'",
    ),
    "the webhook is absent": Fault(
        _no_webhook,
        "see the new role in a dry run",
        "container aws-node has AWS_ROLE_ARN not set; see whether the pod identity webhook runs",
    ),
    "the pod template has a role of its own": Fault(
        _template_with_a_role,
        "see the new role in a dry run",
        "container aws-node has AWS_ROLE_ARN .*aws-node-2",
    ),
    "RBAC forbids to restart": Fault(
        _without_rights_to("daemonsets", "patch"),
        "restart the DaemonSet",
        'cannot patch resource "daemonsets"',
    ),
    "the API server goes away": Fault(
        _broken("PATCH", DAEMON_SET, lambda: Unreachable("no answer for 120 s")),
        "restart the DaemonSet",
        "no answer for 120 s",
    ),
    "the rollout is stuck on one node": Fault(
        _sick_node,
        "wait for the rollout",
        f"the rollout must end within .* pod aws-node-.{{5}} on node .*{SICK_NODE}|none yet",
    ),
    "a pod has no role": Fault(
        _pod_without_role,
        "verify the pods",
        f"pod aws-node-.{{5}} on node {SICK_NODE}: container aws-node has AWS_ROLE_ARN not set",
    ),
    "a pod has no token": Fault(
        _pod_without_token,
        "verify the pods",
        f"pod aws-node-.{{5}} on node {SICK_NODE}: container aws-node has no AWS_WEB_IDENTITY",
    ),
    "listing the pods breaks": Fault(
        _broken("GET", PODS, lambda: ApiError("GET", 500, "InternalError", "etcd is full")),
        "verify the pods",
        "Kubernetes says 'etcd is full'",
    ),
    "detaching is denied": Fault(
        _denied("DetachRolePolicy"),
        "detach the policies from the node roles",
        "not authorized to perform: iam:DetachRolePolicy",
    ),
    "detaching from the second role is denied": Fault(
        _denied("DetachRolePolicy spot"),
        "detach the policies from the node roles",
        "iam:DetachRolePolicy spot",
    ),
}


@pytest.fixture
def three_nodes(aws_node: AwsNode) -> Iterator[AwsNode]:
    webhook = aws_node.cluster.admin.get(WEBHOOK)
    with nodes(aws_node.cluster.plane, 3):
        wait_until(lambda: len(aws_node.pods) == 3)
        aws_node.settle()
        yield aws_node
        aws_node.tamper.do = aws_node.tamper.nothing
        aws_node.remove()
    assert webhook
    aws_node.cluster.admin.merge(WEBHOOK, {"webhooks": webhook["webhooks"]})


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_and_undone(
    three_nodes: AwsNode, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    node, fault = three_nodes, FAULTS[name]
    fault.arrange(node, monkeypatch)
    before = node.state()

    with node.watched():
        reason = node.deploy_failing(
            "Create", node.properties(RolloutTimeoutSeconds="5"), seconds=60
        )

        assert _matches(reason, fault), reason
        assert node.state() == before
        if name != "IAM does not answer":
            node.roll_back_create(node.properties())
            assert node.state() == before


def test_running_out_of_time_is_undone_in_what_is_kept(
    three_nodes: AwsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = three_nodes
    before = node.state()
    _sick_node(node, monkeypatch)
    monkeypatch.setattr(on_event, "_UNDO_SECONDS", 10.0)

    with node.watched():
        reason = node.deploy_failing("Create", seconds=20)

    assert "wait for the rollout: " in reason
    assert "everything done before was undone" in reason
    assert node.state() == before


def test_an_annotation_that_is_changed_meanwhile_stops_the_transaction(
    three_nodes: AwsNode,
) -> None:
    node = three_nodes

    def change(_: dict[str, Any], on: str) -> None:
        if on == "node-1" and node.annotations.get(ROLE) == ONE:
            node.annotate(role=TWO)

    node.tamper.do = change
    with node.watched():
        reason = node.deploy_failing("Create")
    node.tamper.do = node.tamper.nothing

    assert f"must keep its role {ONE}, got {TWO} set meanwhile by somebody else" in reason
    assert node.annotations == {ROLE: TWO}
    assert node.iam.roles == {"nodes": [WORKER_POLICY, CNI_POLICY], "spot": [CNI_POLICY]}
    assert {role for _, role in node.state()["pods"]} == {TWO}


@pytest.mark.parametrize("name", ["a pod has no role", "the rollout is stuck on one node"])
def test_a_failed_change_of_role_goes_back_to_the_role_before(
    three_nodes: AwsNode, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    node, fault = three_nodes, FAULTS[name]
    node.deploy("Create")
    before = node.state()
    other = node.properties(RoleArn=TWO, RolloutTimeoutSeconds="5")
    fault.arrange(node, monkeypatch)
    tamper = node.tamper.do
    node.tamper.do = lambda pod, on: tamper(pod, on) if TWO in str(pod["spec"]) else None

    with node.watched():
        reason = node.deploy_failing("Update", other)
        assert _matches(reason, fault), reason
        assert node.state() == before
        node.deploy("Update", old=other)

    assert node.state() == before


def test_a_denied_attachment_stops_the_delete_before_it_touches_anything(
    aws_node: AwsNode,
) -> None:
    before = aws_node.state()
    aws_node.deploy("Create")
    bound = aws_node.state()
    aws_node.iam.denied.add("AttachRolePolicy spot")

    with aws_node.watched():
        reason = aws_node.deploy_failing("Delete")
        refused = aws_node.state()
        aws_node.iam.denied.clear()
        aws_node.deploy("Delete")

    assert "give policies back to node roles: iam:AttachRolePolicy spot" in reason
    assert {**refused, "node roles": None} == {**bound, "node roles": None}
    assert aws_node.state() == before


def test_a_rollout_that_is_stuck_stops_the_delete_and_the_next_ends_it(
    three_nodes: AwsNode,
) -> None:
    node = three_nodes
    before = node.state()
    node.deploy("Create")

    def gate(pod: dict[str, Any], _: str) -> None:
        pod["spec"]["schedulingGates"] = [{"name": "example.com/image-cannot-be-pulled"}]

    node.tamper.do = gate
    with node.watched():
        reason = node.deploy_failing("Delete", node.properties(RolloutTimeoutSeconds="3"))
        node.tamper.do = node.tamper.nothing
        _delete_waiting_pods(node)
        node.deploy("Delete")

    assert "no pod may run as a role that goes away, got pods on" in reason
    assert node.state() == before


def _delete_waiting_pods(node: AwsNode) -> None:
    node.cluster.plane.kubectl(
        "delete",
        "pods",
        "--namespace=kube-system",
        "--selector=k8s-app=aws-node",
        "--field-selector=status.phase=Pending",
    )


def _matches(reason: str, fault: Fault) -> bool:
    found = re.search(rf"^{fault.step}: .*({fault.told}).*; {fault.undone}$", reason, re.DOTALL)
    return found is not None
