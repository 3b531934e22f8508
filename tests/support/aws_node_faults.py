"""What can go wrong while `aws-node` is bound on the small cluster, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.api_server import Reply, refusal
from tests.support.aws_node import ACCOUNT, DAEMON_SET, OWNER, PODS, ROLE, TWO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.small_cluster import SmallAwsNode

SICK_NODE = "node-2"
ANNOTATED = ["PATCH serviceaccounts"]
SEEN = [*ANNOTATED, "POST pods"]
RESTARTED = [*SEEN, "PATCH daemonsets"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        step: where.
        told: the words in which it is told, a regular expression.
        asked: the changes that were asked for by then, each once.
        seconds: how long a rollout may take.
    """

    arrange: Callable[[SmallAwsNode], object]
    step: str
    told: str
    asked: Sequence[str] = ()
    seconds: float = 30.0


def once(method: str, path: str, reply: Reply, *, after: int = 0) -> Callable[[SmallAwsNode], None]:
    """One request of a kind, the first unless others are to come before it, gets this reply."""

    def arrange(node: SmallAwsNode) -> None:
        met = 0

        def trouble(asked: str, at: str) -> Reply | None:
            nonlocal met
            met += (asked, at) == (method, path)
            return reply if (asked, at, met) == (method, path, after + 1) else None

        node.server.trouble = trouble

    return arrange


def always(method: str, path: str, reply: Reply) -> Callable[[SmallAwsNode], None]:
    """Every request of a kind gets this reply."""

    def arrange(node: SmallAwsNode) -> None:
        node.server.trouble = lambda asked, at: reply if (asked, at) == (method, path) else None

    return arrange


def denied(*what: str) -> Callable[[SmallAwsNode], None]:
    """IAM refuses."""
    return lambda node: node.iam.denied.update(what)


def gate(node: SmallAwsNode) -> None:
    """New pods of one node do not start, when they have a role."""

    def tamper(pod: dict[str, Any], on: str) -> None:
        if on == SICK_NODE and "AWS_ROLE_ARN" in str(pod["spec"]):
            pod["spec"]["schedulingGates"] = [{"name": "example.com/image-cannot-be-pulled"}]

    node.tamper.do = tamper


def drop_variables(part_of_name: str) -> Callable[[SmallAwsNode], None]:
    """New pods of one node lack variables."""

    def tamper(pod: dict[str, Any], on: str) -> None:
        for container in pod["spec"]["containers"] if on == SICK_NODE else ():
            kept = [v for v in container.get("env", ()) if part_of_name not in v["name"]]
            container["env"] = kept

    return lambda node: setattr(node.tamper, "do", tamper)


def _template_with_a_role(node: SmallAwsNode) -> None:
    variable = {"name": "AWS_ROLE_ARN", "value": TWO}
    containers = [{"name": "aws-node", "image": "amazon-k8s-cni:1", "env": [variable]}]
    template = {"spec": {"containers": containers}}
    node.server.edit(DAEMON_SET, {"spec": {"template": template}})


def _annotated(key: str, value: str, manager: str) -> Callable[[SmallAwsNode], None]:
    change = {"metadata": {"annotations": {key: value}}}
    return lambda node: node.server.edit(ACCOUNT, change, manager)


FAULTS = {
    "there is no DaemonSet": Fault(
        lambda node: node.server.remove(DAEMON_SET),
        "find aws-node",
        "the DaemonSet kube-system/aws-node must exist, got none within 0 s; install the VPC CNI",
    ),
    "there is no account": Fault(
        lambda node: node.server.remove(ACCOUNT),
        "find aws-node",
        "the service account kube-system/aws-node must exist",
    ),
    "listing policies is denied": Fault(
        denied("ListAttachedRolePolicies"),
        "read the policies of the node roles",
        "not authorized to perform: iam:ListAttachedRolePolicies",
    ),
    "a node role does not exist": Fault(
        lambda node: node.iam.roles.pop("spot"),
        "read the policies of the node roles",
        "NodeRoleNames must name roles of this account, got 'spot'",
    ),
    "the DaemonSet replaces no pod": Fault(
        lambda node: node.server.edit(
            DAEMON_SET, {"spec": {"updateStrategy": {"type": "OnDelete"}}}
        ),
        "check whose role aws-node has",
        "set its update strategy to RollingUpdate",
    ),
    "somebody else gave it a role": Fault(
        _annotated(ROLE, TWO, "eksctl"),
        "check whose role aws-node has",
        "must not have another role, got '.*aws-node-2' set by eksctl",
    ),
    "the managed add-on gave it a role": Fault(
        _annotated(ROLE, TWO, "eks"),
        "check whose role aws-node has",
        "use AwsNodeAddon in place of AwsNodeRebinding",
    ),
    "another stack bound it": Fault(
        _annotated(OWNER, "another-stack#AwsNode", "irsa-stack"),
        "check whose role aws-node has",
        "must be bound by one rebinding, got it bound by another-stack#AwsNode",
    ),
    "annotating is refused": Fault(
        once("PATCH", ACCOUNT, refusal(422, "Invalid", "no such thing")),
        "annotate the service account",
        "Kubernetes says 'no such thing'",
        ANNOTATED,
    ),
    "the account changes each time before it is annotated": Fault(
        always("PATCH", ACCOUNT, refusal(409, "Conflict", "conflict with eksctl")),
        "annotate the service account",
        "Kubernetes says 'conflict with eksctl'",
        ANNOTATED,
    ),
    "the webhook is absent": Fault(
        lambda node: setattr(node.server, "sees", lambda _: {}),
        "see the new role in a dry run",
        "container aws-node has AWS_ROLE_ARN not set; see whether the pod identity webhook runs",
        SEEN,
    ),
    "the pod template has a role of its own": Fault(
        _template_with_a_role,
        "see the new role in a dry run",
        "container aws-node has AWS_ROLE_ARN .*aws-node-2; .* whether the pod template sets",
        SEEN,
    ),
    "restarting is forbidden": Fault(
        once("PATCH", DAEMON_SET, refusal(403, "Forbidden", "cannot patch daemonsets")),
        "restart the DaemonSet",
        "Kubernetes says 'cannot patch daemonsets'",
        RESTARTED,
    ),
    "the API server goes away": Fault(
        once("PATCH", DAEMON_SET, Reply(502, "bad gateway")),
        "restart the DaemonSet",
        "must answer, got 'bad gateway'",
        RESTARTED,
    ),
    "the rollout is stuck on one node": Fault(
        gate,
        "wait for the rollout",
        f"the rollout must end within 1 s, got .* pod aws-node-.{{5}} on node {SICK_NODE}: Pending",
        RESTARTED,
        0.6,
    ),
    "watching the rollout breaks": Fault(
        once("GET", DAEMON_SET, refusal(500, "InternalError", "etcd is full"), after=1),
        "wait for the rollout",
        "Kubernetes says 'etcd is full'",
        RESTARTED,
    ),
    "a pod has no role": Fault(
        drop_variables("AWS"),
        "verify the pods",
        f"pod aws-node-.{{5}} on node {SICK_NODE}: container aws-node has AWS_ROLE_ARN not set",
        RESTARTED,
    ),
    "a pod has no token": Fault(
        drop_variables("TOKEN"),
        "verify the pods",
        f"pod aws-node-.{{5}} on node {SICK_NODE}: container aws-node has no AWS_WEB_IDENTITY",
        RESTARTED,
    ),
    "listing the pods breaks": Fault(
        once("GET", PODS, refusal(500, "InternalError", "etcd is full")),
        "verify the pods",
        "Kubernetes says 'etcd is full'",
        RESTARTED,
    ),
    "detaching is denied": Fault(
        denied("DetachRolePolicy"),
        "detach the policies from the node roles",
        "not authorized to perform: iam:DetachRolePolicy",
        RESTARTED,
    ),
    "detaching from the second role is denied": Fault(
        denied("DetachRolePolicy spot"),
        "detach the policies from the node roles",
        "iam:DetachRolePolicy spot",
        [*RESTARTED, "DetachRolePolicy nodes"],
    ),
}
