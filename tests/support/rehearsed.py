"""A real cluster as the functions meet it, and as its administrator does."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from kubernetes_api.connection import APPLY_PATCH, MERGE_PATCH

if TYPE_CHECKING:
    from kubernetes_api.connection import Api
    from tests.e2e.harness.kubernetes import Cluster as ControlPlane

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
        name = f"{prefix}-{next(_serial)}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.admin.create("/api/v1/namespaces", body)
        if bound:
            self.allow(name)
        return name

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

    def make_deployment(self, key: str, *, account: str, replicas: int = 1, **spec: Any) -> str:
        """A workload that uses an account. Returns its path."""
        namespace, _, name = key.partition("/")
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": account,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "example.com/main:1"}],
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


def account_path(key: str) -> str:
    """The path of an account on the API server."""
    namespace, _, name = key.partition("/")
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"


_FUNCTION = {"kind": "ServiceAccount", "name": "functions", "namespace": "identities"}


def _role_ref(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
