"""The second faults on real API servers, and what only those can play."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kubernetes_api import connection
from kubernetes_api.connection import Api
from tests.support.aws_node import ONE
from tests.support.aws_node_second_faults import *  # noqa: F403 - the tests
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.aws_node import AwsNode

QUOTAS = "/api/v1/namespaces/kube-system/resourcequotas"
LIMITS = "/api/v1/namespaces/kube-system/limitranges"
NAMESPACE = "/api/v1/namespaces/kube-system"


@pytest.fixture(autouse=True)
def _meeting(aws_node: AwsNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of the function meet what a test says; those of others do not."""
    original = Api.request

    def request(self: Api, method: str, path: str, *args: Any, **named: Any) -> Any:
        reply = aws_node.meets(method, path) if self.deadline.seconds < 300 else None
        if reply is None:
            return original(self, method, path, *args, **named)
        answer = connection._Reply(reply.status, json.dumps(reply.body).encode())
        return answer.answer(connection._Trouble(f"{method} {path}"))

    monkeypatch.setattr(Api, "request", request)


@pytest.fixture
def restrain(aws_node: AwsNode) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Put something into kube-system that admission obeys, and take it away in the end."""
    made: list[str] = []
    admin = aws_node.cluster.admin

    def put(path: str, spec: dict[str, Any]) -> None:
        admin.create(path, {"metadata": {"name": "restraint"}, "spec": spec})
        made.append(f"{path}/restraint")

    yield put
    for path in made:
        aws_node.delete(path)


def pods_of(node: AwsNode) -> list[str]:
    return [pod["metadata"]["uid"] for pod in node.pods]


def test_pod_security_is_told_before_a_pod_is_restarted(aws_node: AwsNode) -> None:
    """F3, A14."""
    before, admin = pods_of(aws_node), aws_node.cluster.admin
    label = "pod-security.kubernetes.io/enforce"
    admin.merge(NAMESPACE, {"metadata": {"labels": {label: "baseline"}}})
    try:
        reason = aws_node.deploy_failing("Create")
    finally:
        admin.merge(NAMESPACE, {"metadata": {"labels": {label: None}}})

    assert 'violates PodSecurity "baseline:latest"' in reason
    assert reason.endswith("everything done before was undone")
    assert pods_of(aws_node) == before


def test_a_quota_that_is_too_small_is_told_before_a_pod_is_restarted(
    aws_node: AwsNode, restrain: Callable[[str, dict[str, Any]], None]
) -> None:
    """F3, A14."""
    before = pods_of(aws_node)
    restrain(QUOTAS, {"hard": {"pods": "0"}})
    wait_for_quota(aws_node)

    reason = aws_node.deploy_failing("Create")

    assert "exceeded quota: restraint" in reason
    assert pods_of(aws_node) == before


def test_a_quota_that_is_exactly_full_lets_the_rollout_through(
    aws_node: AwsNode, restrain: Callable[[str, dict[str, Any]], None]
) -> None:
    """F3, A15: the rollout takes a pod away first."""
    restrain(QUOTAS, {"hard": {"pods": str(len(aws_node.pods))}})
    wait_for_quota(aws_node)

    aws_node.deploy("Create")

    assert aws_node.state()["pods"] == [("node-1", ONE)]
    aws_node.deploy("Delete")


def test_a_limit_range_is_told_before_a_pod_is_restarted(
    aws_node: AwsNode, restrain: Callable[[str, dict[str, Any]], None]
) -> None:
    """F3, A14."""
    before = pods_of(aws_node)
    restrain(LIMITS, {"limits": [{"type": "Pod", "min": {"cpu": "1"}}]})

    reason = aws_node.deploy_failing("Create")

    assert "cpu" in reason
    assert reason.startswith("see the new role in a dry run: ")
    assert pods_of(aws_node) == before


def wait_for_quota(node: AwsNode) -> None:
    """Wait until the quota has counted."""

    def counted() -> bool:
        found = node.cluster.admin.get(f"{QUOTAS}/restraint") or {}
        return "pods" in found.get("status", {}).get("used", {})

    wait_until(counted)
