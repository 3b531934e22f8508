"""`aws-node` on control planes of the oldest and the newest Kubernetes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from aws_node import account, node_roles, on_event, transaction, webhook
from kubernetes_api import restart
from rehearsal.kubernetes import control_plane
from rehearsal.pod_identity import pod_identity_webhook
from tests.support.admission import tampering
from tests.support.aws_node import CNI_POLICY, WORKER_POLICY, AwsNode
from tests.support.iam_server import IamServer
from tests.support.rehearsed import Rehearsed, create_identities, rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.kubernetes import Cluster as ControlPlane
    from tests.support.admission import Tampering

MINORS = os.environ.get("KUBERNETES_MINORS", "1.29 1.36").split()


# Not for the session: a control plane that nobody asks any more takes time from the others.
@pytest.fixture(scope="package", params=MINORS)
def plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("aws-node") / "run"
    with (
        control_plane(folder, minor=request.param, nodes=["node-1"], audit=True) as plane,
        pod_identity_webhook(plane, region="eu-west-1"),
    ):
        yield plane


@pytest.fixture(scope="package")
def tamper(plane: ControlPlane) -> Iterator[Tampering]:
    with tampering(plane) as made:
        yield made


@pytest.fixture(scope="package")
def _tokens(plane: ControlPlane) -> dict[str, str]:
    return create_identities(plane)


@pytest.fixture
def cluster(
    plane: ControlPlane, _tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rehearsed]:
    """The cluster; the function's access is what `AmazonEKSEditPolicy` gives it in kube-system."""
    with rehearsed(plane, _tokens, monkeypatch) as cluster:
        cluster.allow("kube-system")
        yield cluster
        plane.kubectl("delete", "rolebinding", "functions", "--namespace=kube-system")


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[IamServer]:
    roles = {"nodes": [WORKER_POLICY, CNI_POLICY], "spot": [CNI_POLICY]}
    with IamServer(roles) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def aws_node(
    cluster: Rehearsed, iam: IamServer, tamper: Tampering, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AwsNode]:
    """`aws-node` on one node, without a role, and its node roles."""
    for module, name, seconds in (
        (node_roles, "SETTLING_SECONDS", 0.5),
        (node_roles, "_POLL_SECONDS", 0.1),
        (account, "FIGHT_SECONDS", 5.0),
        (account, "_FIGHT_PAUSE", 0.05),
        (on_event, "LOOK_AGAIN_SECONDS", 0.5),
        (transaction, "IAM_SETTLE_SECONDS", 0.2),
        (transaction, "APPEARANCE_SECONDS", 5.0),
        (transaction, "_POLL_SECONDS", 0.1),
        (transaction, "_SETTLE_SECONDS", 4.0),
        (webhook, "ANSWER_SECONDS", 5.0),
        (webhook, "_POLL_SECONDS", 0.1),
        (restart, "WEBHOOK_WATCH_SECONDS", 0.3),
        (restart, "_POLL_SECONDS", 0.1),
    ):
        monkeypatch.setattr(module, name, seconds)
    node = AwsNode(cluster, iam, tamper)
    node.install()
    yield node
    tamper.do = tamper.nothing
    node.remove()
