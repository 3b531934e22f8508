"""The small API server with `aws-node` on it: what makes its pods, and what gives them a role.

Nothing here runs by itself: each request lets the DaemonSet controller take one step, so that a
rollout takes a few looks and no time, and every state in between can be looked at.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

from custom_resource import Deadline
from kubernetes_api.connection import Api, ApiError
from kubernetes_api.rollout import rolls_by_itself
from rehearsal.role_injection import with_role
from tests.support.admission import Tampering
from tests.support.api_server import ApiServer
from tests.support.aws_node import ACCOUNT, DAEMON_SET, PODS, AwsNode
from tests.support.rehearsed import Rehearsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.api_server import Object, Reply
    from tests.support.iam_server import Call, IamServer

_REVISION = "controller-revision-hash"


class SmallCluster(ApiServer):
    """The API server, the DaemonSet controller, the kubelets, and the pod identity webhook.

    Attributes:
        nodes: their names.
        tamper: what is done to a pod after the webhook, by its node; empty in a dry run.
        sees: the annotations of an account as the webhook knows them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Begin anew with two nodes and nothing else."""
        self.objects.clear()
        self.requests.clear()
        self.trouble = lambda _method, _path: None
        self.nodes: tuple[str, ...] = ("node-1", "node-2")
        self.tamper = Tampering()
        self.sees: Callable[[Object], Mapping[str, str]] = annotations_of

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return self.connection["Endpoint"]

    @property
    def certificate_authority_data(self) -> str:
        """Whom to trust."""
        return self.connection["CertificateAuthorityData"]

    def asked_by_admin(
        self, method: str, path: str, body: Any, query: Mapping[str, str], kind: str
    ) -> Reply:
        """A request that meets no trouble, is not told in `requests`, and moves no pod."""
        with self._lock:
            return super()._answer(method, path, body, dict(query), kind)

    def settle(self) -> None:
        """Let the DaemonSet controller do all that it can."""
        with self._lock:
            while self._control():
                pass

    def remove(self, path: str) -> None:
        """Somebody deletes an object."""
        with self._lock:
            self.objects.pop(path, None)

    def _answer(self, method: str, path: str, body: Any, query: dict[str, str], kind: str) -> Reply:
        self._control()
        return super()._answer(method, path, body, query, kind)

    def _create(self, path: str, body: Object, query: dict[str, str]) -> Reply:
        return super()._create(path, self._admitted(body, "") if path == PODS else body, query)

    def _admitted(self, pod: Object, node: str) -> Object:
        account = self.objects.get(ACCOUNT)
        spec = with_role(pod, self.sees(account), region="eu-west-1") if account else None
        pod = copy.deepcopy({**pod, "spec": spec or pod["spec"]})
        self.tamper.do(pod, node)
        return pod

    def _control(self) -> bool:
        """One step: make a pod that is missing, or else take one away that is outdated.

        Returns:
            Whether there was something to do.
        """
        daemon_set, pods = self.objects.get(DAEMON_SET), self._pods()
        if daemon_set is None:
            for path in pods.values():
                del self.objects[path]
            return False
        metadata, template = daemon_set["metadata"], daemon_set["spec"]["template"]
        revision = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        missing = [node for node in self.nodes if node not in pods]
        if missing:
            self._make_pod(missing[0], daemon_set, revision)
        elif not rolls_by_itself(daemon_set):
            self._take_one(set(pods.values()), revision)
        before, pods = pods, self._pods()
        updated = [path for path in pods.values() if self._revision(path) == revision]
        daemon_set["status"] = {
            "observedGeneration": metadata["generation"],
            "desiredNumberScheduled": len(self.nodes),
            "updatedNumberScheduled": len(updated),
            "numberAvailable": sum(map(self._is_ready, pods.values())),
        }
        return before != pods

    def _take_one(self, paths: set[str], revision: str) -> None:
        # One whose node is down ends for ever.
        outdated = sorted(
            path for path in paths if self._revision(path) != revision and not self._is_ending(path)
        )
        # At most one pod is unavailable; a pod that is so already goes first.
        unavailable = [path for path in outdated if not self._is_ready(path)]
        candidates = unavailable or (outdated if all(map(self._is_ready, paths)) else [])
        if candidates:
            del self.objects[candidates[0]]

    def _make_pod(self, node: str, daemon_set: Object, revision: str) -> None:
        template = copy.deepcopy(daemon_set["spec"]["template"])
        metadata = {
            **template["metadata"],
            "labels": {**template["metadata"]["labels"], _REVISION: revision},
            "ownerReferences": [{"uid": daemon_set["metadata"]["uid"]}],
        }
        pod = self._admitted({"metadata": metadata, "spec": template["spec"]}, node)
        pod["spec"]["nodeName"] = node
        ready = "schedulingGates" not in pod["spec"]
        pod["status"] = {
            "phase": "Running" if ready else "Pending",
            "conditions": [{"type": "Ready", "status": str(ready)}],
        }
        self.put(f"{PODS}/aws-node-{next(self._versions):05}", pod, "kube-controller-manager")

    def _pods(self) -> dict[str, str]:
        """The paths of the pods, by node."""
        return {
            thing["spec"]["nodeName"]: path
            for path, thing in self.objects.items()
            if path.startswith(f"{PODS}/")
        }

    def _revision(self, path: str) -> str:
        return str(self.objects[path]["metadata"]["labels"][_REVISION])

    def _is_ready(self, path: str) -> bool:
        running = self.objects[path]["status"]["phase"] == "Running"
        return bool(running and not self._is_ending(path))

    def _is_ending(self, path: str) -> bool:
        return "deletionTimestamp" in self.objects[path]["metadata"]


class Administrator(Api):
    """Asks the small cluster without kubectl."""

    def __init__(self, cluster: SmallCluster) -> None:
        self.deadline = Deadline(3600)
        self._small = cluster

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Ask once."""
        reply = self._small.asked_by_admin(method, path, body, query or {}, content_type)
        answer = copy.deepcopy(dict(reply.body))
        if reply.status >= 400:
            raise ApiError(f"{method} {path}", reply.status, answer["reason"], answer["message"])
        return answer


class SmallAwsNode(AwsNode):
    """`aws-node` on the small cluster."""

    server: SmallCluster

    @classmethod
    def on(cls, server: SmallCluster, iam: IamServer) -> SmallAwsNode:
        """Install it."""
        cluster = Rehearsed(server, Administrator(server), {})  # type: ignore[arg-type]
        node = cls(cluster, iam, server.tamper)
        node.server = server
        iam.before_change = lambda call: server.requests.append((call.action, call.role))
        node.install()
        return node

    def meet(self, trouble: Callable[[str, str], Reply | None]) -> None:
        """Let the API server answer so."""
        self.server.trouble = trouble

    def settle(self) -> None:
        """Let the DaemonSet roll out as far as it can."""
        self.server.settle()

    @property
    def asked(self) -> list[str]:
        """The changes that were asked for, in Kubernetes and in IAM, in one order."""
        return [
            f"{action} {what.removesuffix('/aws-node').rpartition('/')[2]}"
            for action, what in self.server.writes
        ]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look before each request, and before each change in IAM."""
        trouble, before = self.server.trouble, self.iam.before_change

        def look_at_request(method: str, path: str) -> Reply | None:
            self._look(self.cluster.admin)
            return trouble(method, path)

        def look_at_change(call: Call) -> None:
            before(call)
            gone = (call.role, call.policy) if "Detach" in call.action else None
            self._look(self.cluster.admin, less=gone)

        self.server.trouble, self.iam.before_change = look_at_request, look_at_change
        try:
            yield
        finally:
            self.server.trouble, self.iam.before_change = trouble, before
        self._look(self.cluster.admin)
        assert self.violations == []
        assert self.looks > 1


def annotations_of(account: Object) -> Mapping[str, str]:
    """Of an object."""
    return dict(account["metadata"].get("annotations", {}))
