"""The VPC CNI of a real cluster as its administrator sees it, and one event for our function."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_node import on_event
from aws_node.pods import credential_fault, pods_of, running
from custom_resource import Deadline, Failure, Request
from kubernetes_api import connection
from kubernetes_api.cluster import Cluster
from kubernetes_api.restart import template_role
from kubernetes_api.rollout import rollout_of
from tests.support.cloudformation import STACK_ID
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from custom_resource import Answer
    from rehearsal.kubernetes import Cluster as ControlPlane
    from tests.support.admission import Tampering
    from tests.support.iam_server import IamServer
    from tests.support.rehearsed import Rehearsed
    from tests.support.replies import Reply

ONE = "arn:aws:iam::111122223333:role/aws-node"
TWO = "arn:aws:iam::111122223333:role/aws-node-2"
CNI_POLICY = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
WORKER_POLICY = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
ROLE, OWNER = "eks.amazonaws.com/role-arn", "irsa-stack/owner"
JOURNAL, EVENTS = "irsa-stack/detached-policies", "irsa-stack/events"
ACCOUNT = "/api/v1/namespaces/kube-system/serviceaccounts/aws-node"
DAEMON_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node"
PODS = "/api/v1/namespaces/kube-system/pods"

_events = itertools.count(1)


@dataclass
class AwsNode:
    """`aws-node` in one cluster, its nodes' roles, and whether the CNI could always run."""

    cluster: Rehearsed
    iam: IamServer
    tamper: Tampering
    violations: list[str] = field(default_factory=list)
    looks: int = 0
    meets: Callable[[str, str], Reply | None] = lambda _method, _path: None

    def meet(self, trouble: Callable[[str, str], Reply | None]) -> None:
        """Let each request of the function, by method and path, meet a reply of somebody's own."""
        self.meets = trouble

    def edit(self, path: str, body: dict[str, Any], manager: str = "somebody") -> None:
        """Somebody changes an object."""
        self.cluster.admin.merge(path, body, manager=manager)

    def delete(self, path: str, *, wait: bool = True) -> None:
        """Somebody deletes an object."""
        self.cluster.admin.request("DELETE", path, {"propagationPolicy": "Background"})
        if wait:
            wait_until(lambda: self.cluster.admin.get(path) is None)

    def make_account(self, annotations: dict[str, str], manager: str) -> None:
        """Somebody makes the service account."""
        metadata = {"name": "aws-node", "annotations": annotations}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        path = ACCOUNT.removesuffix("/aws-node")
        self.cluster.admin.request("POST", path, account, query={"fieldManager": manager})

    def install(self) -> None:
        """Make the account and the DaemonSet as EKS does in a new cluster."""
        labels = {"k8s-app": "aws-node"}
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "aws-node", "labels": {"app.kubernetes.io/name": "cni"}},
        }
        path = ACCOUNT.removesuffix("/aws-node")
        self.cluster.admin.request("POST", path, account, query={"fieldManager": "eks"})
        daemon_set = {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "aws-node", "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "10%"},
                },
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": "aws-node",
                        "hostNetwork": True,
                        "priorityClassName": "system-node-critical",
                        "terminationGracePeriodSeconds": 0,
                        "tolerations": [{"operator": "Exists"}],
                        "initContainers": [{"name": "aws-vpc-cni-init", "image": "cni-init:1"}],
                        "containers": [
                            {"name": "aws-node", "image": "amazon-k8s-cni:1"},
                            {"name": "aws-eks-nodeagent", "image": "agent:1"},
                        ],
                    },
                },
            },
        }
        path = DAEMON_SET.removesuffix("/aws-node")
        self.cluster.admin.request("POST", path, daemon_set, query={"fieldManager": "eks"})
        self.settle()

    def remove(self) -> None:
        """Take it away, pods first."""
        for path in (DAEMON_SET, ACCOUNT):
            with contextlib.suppress(connection.ApiError):
                self.cluster.admin.request("DELETE", path, {"propagationPolicy": "Foreground"})
        wait_until(lambda: not self.pods and self.daemon_set is None)

    def settle(self) -> None:
        """Wait until the DaemonSet has rolled out."""

        def settled() -> bool:
            found = self.daemon_set
            return found is None or rollout_of({**found, "kind": "DaemonSet"}).done

        wait_until(settled, 60)
        wait_until(lambda: all("deletionTimestamp" not in p["metadata"] for p in self.pods))

    @property
    def account(self) -> dict[str, Any] | None:
        """The service account."""
        return self.cluster.admin.get(ACCOUNT)

    @property
    def daemon_set(self) -> dict[str, Any] | None:
        """The DaemonSet."""
        return self.cluster.admin.get(DAEMON_SET)

    @property
    def pods(self) -> list[dict[str, Any]]:
        """All of its pods, ending ones too."""
        return list(self.cluster.admin.list(PODS, labelSelector="k8s-app=aws-node"))

    @property
    def annotations(self) -> dict[str, str]:
        """Those of the service account."""
        found = self.account
        return dict(found["metadata"].get("annotations", {})) if found else {}

    def annotate(self, *, manager: str = "kubectl-annotate", **annotations: str | None) -> None:
        """Set the role as somebody else, given as `role`."""
        patch = {"metadata": {"annotations": {ROLE: annotations["role"]}}}
        self.cluster.admin.merge(ACCOUNT, patch, manager=manager)

    def state(self) -> dict[str, Any]:
        """All that the transaction may touch, once it has come to rest."""
        self.settle()
        account, daemon_set = self.account, self.daemon_set
        return {
            "account": account and _lasting(account),
            "template": daemon_set and daemon_set["spec"]["template"],
            "template role": daemon_set and template_role(daemon_set),
            "uids": [thing and thing["metadata"]["uid"] for thing in (account, daemon_set)],
            "pods": sorted((pod["spec"]["nodeName"], _role_of(pod)) for pod in self.pods),
            "node roles": {name: sorted(arns) for name, arns in self.iam.roles.items()},
        }

    def properties(self, **given: Any) -> dict[str, Any]:
        """The custom resource's properties, as the construct passes them."""
        return {
            "Cluster": self.cluster.connection,
            "RoleArn": ONE,
            "NodeRoleNames": sorted(self.iam.roles),
            "PolicyArns": [CNI_POLICY],
            "RolloutTimeoutSeconds": "60",
            **given,
        }

    def deploy(
        self,
        kind: str,
        properties: dict[str, Any] | None = None,
        old: dict[str, Any] | None = None,
        *,
        physical_id: str = "rehearsal/aws-node",
        logical_id: str = "AwsNode",
        stack_id: str = STACK_ID,
        event: str = "",
        seconds: float = 90.0,
    ) -> Answer:
        """Let the function do the work of one event."""
        request = Request(
            type=kind,
            physical_id=None if kind == "Create" else physical_id,
            properties=properties or self.properties(),
            old_properties=(old or self.properties()) if kind == "Update" else {},
            stack_id=stack_id,
            logical_id=logical_id,
            request_id=event or f"event-{next(_events)}",
        )
        return on_event.work(request, Deadline(seconds))

    def deploy_failing(self, *event: Any, **more: Any) -> str:
        """Let the function fail; returns the reason."""
        try:
            self.deploy(*event, **more)
        except Failure as failure:
            return str(failure)
        raise AssertionError("the function must fail")

    def roll_back_create(
        self, properties: dict[str, Any] | None = None, *, created_by: str = "create"
    ) -> Answer:
        """The Delete that CloudFormation sends when a Create, by that event, failed."""
        given = properties or self.properties()
        unfinished = on_event.unfinished_id(
            Request("Create", None, given, {}, STACK_ID, "AwsNode", created_by)
        )
        return self.deploy("Delete", given, physical_id=unfinished)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look all the time, and before each change in IAM, whether the CNI can run everywhere."""
        stop = threading.Event()
        cluster = Cluster(*self.cluster.connection.values())
        before = self.iam.before_change
        token, ours = self.cluster.tokens["admin"], connection.eks_token
        connection.eks_token = lambda _: token  # type: ignore[assignment]
        try:
            eyes = [connection.Api(cluster, Deadline(600)) for _ in range(2)]
        finally:
            connection.eks_token = ours

        def probe() -> None:
            while not stop.wait(0.02):
                self._look(eyes[0])

        def look_first(call: Any) -> None:
            before(call)
            self._look(eyes[1], less=(call.role, call.policy) if "Detach" in call.action else None)

        self.iam.before_change = look_first
        thread = threading.Thread(target=probe)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.iam.before_change = before
            self._look(eyes[0])
            for eye in eyes:
                eye.__exit__()
        assert self.violations == []
        assert self.looks > 1

    def _look(self, api: connection.Api, less: tuple[str, str] | None = None) -> None:
        """The nodes' roles have the policy, or each pod, and the next one, has a role of its own.

        Args:
            api: A connection that nobody else uses.
            less: The attachment that is just about to go.
        """
        self.looks += 1
        if not less and self._nodes_can():
            return
        daemon_set, account = api.get(DAEMON_SET), api.get(ACCOUNT)
        if not daemon_set or not account:
            return
        pods = running(pods_of(daemon_set, api.list(PODS, labelSelector="k8s-app=aws-node")))
        if not less and self._nodes_can():
            return  # given back while we asked
        self.violations += [
            f"pod on {pod['spec'].get('nodeName')} cannot run the CNI, nor can its node"
            for pod in pods
            if all(credential_fault(pod["spec"], role) for role in (ONE, TWO))
        ]
        if account["metadata"].get("annotations", {}).get(ROLE) not in (ONE, TWO):
            self.violations.append("the next pod cannot run the CNI, nor can its node")

    def _nodes_can(self) -> bool:
        return all(CNI_POLICY in policies for policies in self.iam.roles.values())


@contextlib.contextmanager
def nodes(plane: ControlPlane, count: int) -> Iterator[None]:
    """That many nodes in all, where one is always there."""
    names = [f"more-{number}" for number in range(count - 1)]
    things = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        }
        for name in names
    ]
    if names:
        plane.apply(*things)
        plane.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "nodes", *names)
    try:
        yield
    finally:
        if names:
            plane.kubectl("delete", "nodes", *names)


def events_in_order(node: AwsNode, since: int) -> Sequence[str]:
    """What the function changed in Kubernetes and in IAM, in one order."""
    told = [
        (event["requestReceivedTimestamp"], f"{event['verb']} {event['objectRef']['resource']}")
        for event in node.cluster.plane.audit_events()[since:]
        if event["user"]["username"] == "system:serviceaccount:identities:functions"
        and event["verb"] not in ("get", "list", "watch")
        and "dryRun=All" not in event["requestURI"]
    ]
    told += [
        (call.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), f"{call.action} {call.role}")
        for call in node.iam.calls
        if call.action != "ListAttachedRolePolicies"
    ]
    return [what for _, what in sorted(told)]


def journal(node: AwsNode) -> dict[str, list[str]]:
    """What the service account says was detached."""
    found: dict[str, list[str]] = json.loads(node.annotations[JOURNAL])
    return found


def _lasting(thing: dict[str, Any]) -> dict[str, Any]:
    """An object less what each write, and each event, changes."""
    metadata = {
        key: value
        for key, value in thing["metadata"].items()
        if key not in ("resourceVersion", "managedFields", "annotations")
    }
    annotations = thing["metadata"].get("annotations", {})
    kept = {key: value for key, value in annotations.items() if key != EVENTS}
    return {**thing, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}


def _role_of(pod: dict[str, Any]) -> str | None:
    for role in (ONE, TWO):
        if not credential_fault(pod["spec"], role):
            return role
    return None if not credential_fault(pod["spec"], None) else "another, or not in all containers"
