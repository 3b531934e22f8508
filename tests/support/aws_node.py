"""aws-node on a real API server: its DaemonSet, its nodes, its node roles, one deploy of ours."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from typing import TYPE_CHECKING, Any

from aws_node import on_event
from aws_node.pods import of_daemon_set, role_of
from aws_node.rebinding import ACCOUNT, DAEMON_SET, PODS
from custom_resource import Deadline, Request
from kubernetes_api.restart import template_role
from kubernetes_api.rollout import rollout_of
from kubernetes_api.shared_keys import keys_of
from tests.support.binder import ROLE
from tests.support.cloudformation import STACK_ID
from tests.support.iam_recorder import CNI_POLICY, RecordingIam
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from custom_resource import Answer
    from tests.support.rehearsed import Rehearsed

OWN = "arn:aws:iam::111122223333:role/aws-node"
OTHER = "arn:aws:iam::111122223333:role/aws-node-other"


@dataclasses.dataclass
class AwsNode:
    """The VPC CNI as EKS installs it, less the CNI."""

    cluster: Rehearsed
    iam: RecordingIam
    violations: list[str] = dataclasses.field(default_factory=list)

    def install(self) -> None:
        """Make the account and the DaemonSet; wait for its pods."""
        labels = {"k8s-app": "aws-node"}
        metadata = {"name": "aws-node", "namespace": "kube-system"}
        container = {"name": "aws-node", "image": "example.com/amazon-k8s-cni:v1.22.1"}
        agent = {"name": "aws-eks-nodeagent", "image": "example.com/agent:v1.3.1"}
        spec = {
            "selector": {"matchLabels": labels},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": "10%"},
            },
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "aws-node",
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [container, agent],
                },
            },
        }
        self.cluster.plane.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec},
        )
        self.settle()

    def remove(self) -> None:
        """Take it away again."""
        self.cluster.plane.kubectl(
            "delete",
            "--namespace=kube-system",
            "--ignore-not-found",
            "daemonset/aws-node",
            "serviceaccount/aws-node",
        )
        wait_until(lambda: not self._all_pods())

    def settle(self) -> None:
        """Wait until the DaemonSet has rolled out."""

        def settled() -> bool:
            found = self.cluster.admin.get(DAEMON_SET)
            return bool(found and rollout_of({**found, "kind": "DaemonSet"}).done)

        wait_until(settled, 60)

    @property
    def account(self) -> dict[str, Any] | None:
        """The service account as it is."""
        return self.cluster.admin.get(ACCOUNT)

    @property
    def annotations(self) -> dict[str, str]:
        """What is on the account, less what kubectl writes."""
        found = self.account
        annotations = keys_of(found)["annotations"] if found else {}
        return {k: v for k, v in annotations.items() if not k.startswith("kubectl.")}

    @property
    def template_role(self) -> str | None:
        """The role that the pods were last restarted for."""
        found = self.cluster.admin.get(DAEMON_SET)
        return template_role(found) if found else None

    @property
    def pod_roles(self) -> set[str | None]:
        """The roles that the pods have in their environment."""
        found = self.cluster.admin.get(DAEMON_SET)
        assert found
        return {role_of(pod) for pod in of_daemon_set(self._all_pods(), found)}

    def state(self) -> dict[str, Any]:
        """All that the transaction may touch."""
        return {
            "annotations": self.annotations,
            "template": self.template_role,
            "pods": self.pod_roles,
            "node roles": {name: sorted(arns) for name, arns in self.iam.roles.items()},
        }

    def deploy(
        self, kind: str, *, old: dict[str, Any] | None = None, seconds: float = 90.0, **given: Any
    ) -> Answer:
        """Let the function do the work of one event."""
        logical_id = given.pop("logical_id", "AwsNode")
        stack_id = given.pop("stack_id", STACK_ID)
        request = Request(
            type=kind,
            physical_id=None if kind == "Create" else "rehearsal/aws-node",
            properties=self.properties(**given),
            old_properties=self.properties(**old) if old is not None else {},
            stack_id=stack_id,
            logical_id=logical_id,
            request_id="request",
        )
        return on_event.work(request, Deadline(seconds))

    def properties(self, **given: Any) -> dict[str, Any]:
        """The properties that the construct passes, less what is given."""
        return {
            "Cluster": self.cluster.connection,
            "RoleArn": OWN,
            "NodeRoleNames": sorted(self.iam.roles),
            "PolicyArns": [CNI_POLICY],
            "RolloutTimeoutSeconds": "60",
            **given,
        }

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look all the time, and before each IAM call, whether the CNI can run on every node."""
        stop = threading.Event()

        def probe() -> None:
            while not stop.wait(0.05):
                self._look()

        self.iam.before_write = self._look
        thread = threading.Thread(target=probe)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.iam.before_write = lambda: None
        self._look()
        assert self.violations == []

    def _look(self) -> None:
        """A node can run the CNI when its role has the policy, or its pod a role of its own."""
        if all(CNI_POLICY in arns for arns in self.iam.roles.values()):
            return
        listed = self.cluster.plane.run_kubectl(
            "get", "--namespace=kube-system", "pods,serviceaccounts", "--output=json"
        )
        if all(CNI_POLICY in arns for arns in self.iam.roles.values()):
            return  # given back while we asked
        things = json.loads(listed.stdout)["items"]
        pods = [t for t in things if t["kind"] == "Pod" and t["metadata"]["name"][:8] == "aws-node"]
        account = next(t for t in things if t["metadata"]["name"] == "aws-node")
        self.violations += [
            f"{pod['metadata']['name']} has no role, and its node none either"
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"] and role_of(pod) is None
        ]
        if ROLE not in keys_of(account)["annotations"]:
            self.violations.append("the next pod would have no role, and its node none either")

    def _all_pods(self) -> list[dict[str, Any]]:
        return list(self.cluster.admin.list(PODS, labelSelector="k8s-app=aws-node"))
