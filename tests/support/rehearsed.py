"""A real cluster as the functions meet it, and as its administrator does."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import itertools
import json
import ssl
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from custom_resource import Deadline
from irsa_stack.kubernetes.rbac import Rule, group_manifests
from kubernetes_api import connection
from kubernetes_api.cluster import Cluster
from kubernetes_api.connection import APPLY_PATCH, MERGE_PATCH, Api
from kubernetes_api.restart import template_role
from rehearsal.kubernetes import DEFAULT_AUDIENCE
from tests.support.patience import bear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pytest

    from rehearsal.kubernetes import Cluster as ControlPlane

WEBHOOK = "mutatingwebhookconfigurations/pod-identity-webhook"
_serial = itertools.count(1)


@dataclasses.dataclass
class Rehearsed:
    """A cluster as the functions meet it, and as its administrator does."""

    plane: ControlPlane
    admin: Api
    tokens: dict[str, str]

    @property
    def connection(self) -> dict[str, str]:
        """The `Cluster` property."""
        return {
            "Name": "rehearsal",
            "Endpoint": self.plane.endpoint,
            "CertificateAuthorityData": self.plane.certificate_authority_data,
        }

    def namespace(self, prefix: str = "apps", *, bound: bool = True) -> str:
        """A new namespace; bound as `AmazonEKSEditPolicy` of that scope binds it."""
        name = self.unused_name(prefix)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.admin.create("/api/v1/namespaces", body)
        if bound:
            self.allow(name)
        return name

    def unused_name(self, prefix: str = "apps") -> str:
        """A name that no namespace has."""
        return f"{prefix}-{next(_serial)}"

    def allow(self, namespace: str, cluster_role: str = "edit") -> None:
        """Let the functions into a namespace."""
        self.admin.create(
            f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "functions", "namespace": namespace},
                "roleRef": _role_ref(cluster_role),
                "subjects": [_FUNCTION],
            },
        )

    def allow_once(self, namespace: str) -> None:
        """Let the functions into a namespace that every test shares."""
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/functions"
        if self.admin.get(path) is None:
            self.allow(namespace)

    def let_in(self, rules: dict[str, list[Rule]]) -> None:
        """Let the functions into namespaces by the RBAC of a group, as the library emits it."""
        self.plane.apply(*group_manifests(_GROUP, rules))

    def status(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> int:
        """What the API server answers the functions' identity."""
        asked = urllib.request.Request(  # noqa: S310 (https)
            self.plane.endpoint + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.tokens['functions']}",
                "Content-Type": MERGE_PATCH if method == "PATCH" else "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        authority = base64.b64decode(self.plane.certificate_authority_data).decode()
        trusting = ssl.create_default_context(cadata=authority)
        try:
            with urllib.request.urlopen(asked, timeout=30, context=trusting) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    @contextlib.contextmanager
    def more_nodes(self, count: int) -> Iterator[None]:
        """More nodes for a while."""
        names = [f"more-{n}" for n in range(count)]
        self.plane.apply(*(_node(name) for name in names))
        wait_until(lambda: self._ready_nodes() >= count + 1, 60)
        try:
            yield
        finally:
            self.plane.kubectl("delete", "nodes", *names)
            wait_until(lambda: not any(self._pods_on(set(names))), 60)

    def _ready_nodes(self) -> int:
        return sum(
            condition["status"] == "True"
            for node in self.admin.list("/api/v1/nodes")
            for condition in node["status"].get("conditions", ())
            if condition["type"] == "Ready"
        )

    def _pods_on(self, nodes: set[str]) -> Iterator[bool]:
        for pod in self.admin.list("/api/v1/pods"):
            yield pod["spec"].get("nodeName") in nodes

    def switch_webhook(self, *, on: bool) -> None:
        """Let the pod identity webhook see pods, or none."""
        path = f"/apis/admissionregistration.k8s.io/v1/{WEBHOOK}"
        found = self.admin.get(path)
        assert found
        selector = {} if on else {"matchLabels": {"no-such": "namespace"}}
        webhooks = [{**webhook, "namespaceSelector": selector} for webhook in found["webhooks"]]
        self.admin.merge(path, {"webhooks": webhooks})
        # The API server takes a moment to see it.
        time.sleep(1.0)

    def account(self, key: str) -> dict[str, Any] | None:
        """A service account as it is."""
        return self.admin.get(account_path(key))

    def make_account(self, key: str, *, manager: str = "kubectl", **metadata: Any) -> None:
        """An account that somebody else makes."""
        namespace, _, name = key.partition("/")
        body = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, **metadata},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.admin.request("POST", path, body, query={"fieldManager": manager})

    def patch_account(
        self,
        key: str,
        metadata: dict[str, Any],
        manager: str,
        content_type: str = MERGE_PATCH,
    ) -> None:
        """A change that somebody else makes to an account."""
        body: dict[str, Any] = {"metadata": metadata}
        if content_type == APPLY_PATCH:
            body |= {"apiVersion": "v1", "kind": "ServiceAccount"}
        query = {"fieldManager": manager}
        path = account_path(key)
        self.admin.request("PATCH", path, body, content_type=content_type, query=query)

    def make_deployment(
        self,
        key: str,
        *,
        account: str,
        replicas: int = 1,
        pod: dict[str, Any] | None = None,
        **spec: Any,
    ) -> str:
        """A workload that uses an account. Returns its path."""
        namespace, _, name = key.partition("/")
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": account,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "example.com/main:1"}],
                **(pod or {}),
            },
        }
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": template,
                **spec,
            },
        }
        self.admin.create(path, body)
        return f"{path}/{name}"

    def make_budget(self, key: str, **spec: Any) -> None:
        """A PodDisruptionBudget for the deployment of that name, once it counts its pods."""
        namespace, _, name = key.partition("/")
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        body = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
        }
        self.admin.create(path, body)
        wait_until(lambda: self._healthy_pods(f"{path}/{name}") > 0)

    def _healthy_pods(self, budget: str) -> int:
        found = self.admin.get(budget) or {}
        return int(found.get("status", {}).get("currentHealthy", 0))

    def template_role(self, workload: str) -> str | None:
        """The role that a workload was last restarted for."""
        found = self.admin.get(workload)
        return template_role(found) if found else None

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """The pods of a namespace."""
        return list(self.admin.list(f"/api/v1/namespaces/{namespace}/pods"))

    def define_widgets(self) -> None:
        """A namespaced kind of somebody's own, `example.com/v1 Widget`."""
        schema = {"openAPIV3Schema": {"type": "object"}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
        self.plane.apply(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": "widgets.example.com"},
                "spec": {
                    "group": "example.com",
                    "scope": "Namespaced",
                    "names": names,
                    "versions": [version],
                },
            }
        )
        self.plane.kubectl("wait", "--for=condition=Established", "crd/widgets.example.com")
        wait_until(lambda: self.admin.get("/apis/example.com/v1") is not None)

    def audit_position(self) -> int:
        """Where the audit log ends now."""
        return len(self.plane.audit_events())

    def writes(self, since: int = 0) -> list[tuple[str, str, str]]:
        """What the functions wrote, from the API server's audit log: verb, resource, name."""
        return [
            (event["verb"], reference["resource"], reference.get("name", ""))
            for event in self.plane.audit_events()[since:]
            if event["user"]["username"] == "system:serviceaccount:identities:functions"
            and event["verb"] not in ("get", "list", "watch")
            for reference in [event.get("objectRef", {})]
            if reference
        ]


def create_identities(plane: ControlPlane) -> dict[str, str]:
    """Create who the functions and their administrator are there, and return their tokens."""
    plane.create_service_account("functions", namespace="identities")
    plane.create_service_account("admin", namespace="identities")
    plane.kubectl(
        "create",
        "clusterrolebinding",
        "admin",
        "--clusterrole=cluster-admin",
        "--serviceaccount=identities:admin",
    )
    return {
        name: plane.token(name, namespace="identities", audience=DEFAULT_AUDIENCE)
        for name in ("functions", "admin")
    }


@contextlib.contextmanager
def rehearsed(
    plane: ControlPlane, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rehearsed]:
    """Let the functions meet the cluster, signed in with their token, until the block ends."""
    monkeypatch.setenv("KUBECTL", str(plane.programs["kubectl"]))
    bear(monkeypatch, 5, 3, 1)
    monkeypatch.setattr(connection, "confirm_endpoint", lambda _: "ACTIVE")
    monkeypatch.setattr(connection, "eks_token", lambda _: tokens["admin"])
    cluster = Rehearsed(plane, None, tokens)  # type: ignore[arg-type]
    with Api(Cluster(*cluster.connection.values()), Deadline(3600)) as admin:
        cluster.admin = admin
        monkeypatch.setattr(connection, "eks_token", lambda _: tokens["functions"])
        yield cluster


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not within the time.
    """
    ends_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends_at, "it did not come to hold"
        time.sleep(0.05)


def _node(name: str) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def account_path(key: str) -> str:
    """The path of an account on the API server."""
    namespace, _, name = key.partition("/")
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"


# A group that the functions' token is in: that of the service accounts of their namespace.
_GROUP = "system:serviceaccounts:identities"
_FUNCTION = {"kind": "ServiceAccount", "name": "functions", "namespace": "identities"}


def _role_ref(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
