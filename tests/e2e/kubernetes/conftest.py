"""Control planes of the oldest and the newest Kubernetes, and the functions' identity there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from custom_resource import Deadline
from kubernetes_api import connection
from kubernetes_api.connection import Api
from tests.e2e.harness.kubernetes import DEFAULT_AUDIENCE, control_plane
from tests.support.rehearsed import Rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.harness.kubernetes import Cluster as ControlPlane

MINORS = os.environ.get("KUBERNETES_MINORS", "1.29 1.36").split()


@pytest.fixture(scope="session", params=MINORS)
def plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("kubernetes") / "run"
    with control_plane(folder, minor=request.param, nodes=["node-1"], audit=True) as running:
        yield running


@pytest.fixture(scope="session")
def _tokens(plane: ControlPlane) -> dict[str, str]:
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


@pytest.fixture
def cluster(
    plane: ControlPlane, _tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rehearsed]:
    """The cluster; what the functions sign in with is a token of their own there."""
    monkeypatch.setenv("KUBECTL", str(plane.programs["kubectl"]))
    monkeypatch.setattr(connection, "PATIENCE", connection.Patience(5, 3, 1))
    monkeypatch.setattr(connection, "eks_token", lambda _: _tokens["admin"])
    rehearsed = Rehearsed(plane, None, _tokens)  # type: ignore[arg-type]
    with Api(connection.Cluster(*rehearsed.connection.values()), Deadline(3600)) as admin:
        rehearsed.admin = admin
        monkeypatch.setattr(connection, "eks_token", lambda _: _tokens["functions"])
        yield rehearsed
