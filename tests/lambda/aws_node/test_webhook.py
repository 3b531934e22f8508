"""The dry run that asks the pod identity webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_node import webhook
from aws_node.webhook import NotYetSeen, await_webhook
from custom_resource import OutOfTime
from kubernetes_api import restart
from kubernetes_api.connection import ApiError
from tests.support.api_server import Reply, refusal
from tests.support.aws_node import ACCOUNT, DAEMON_SET, ONE, PODS, ROLE, TWO
from tests.support.small_cluster import annotations_of

if TYPE_CHECKING:
    from kubernetes_api.connection import Api
    from tests.support.small_cluster import SmallAwsNode, SmallCluster


def give(server: SmallCluster, role: str | None) -> None:
    server.edit(ACCOUNT, {"metadata": {"annotations": {ROLE: role}}})


@pytest.fixture
def daemon_set(aws_node: SmallAwsNode) -> dict[str, Any]:
    found = aws_node.daemon_set
    assert found
    return found


@pytest.mark.parametrize("role", [ONE, None])
def test_ends_when_a_new_pod_would_be_as_the_account_says(
    api: Api, server: SmallCluster, daemon_set: dict[str, Any], role: str | None
) -> None:
    give(server, role)

    await_webhook(api, daemon_set, role)

    assert server.writes == [("POST", PODS)]


def test_keeps_no_pod(api: Api, aws_node: SmallAwsNode, daemon_set: dict[str, Any]) -> None:
    before = [pod["metadata"]["name"] for pod in aws_node.pods]

    await_webhook(api, daemon_set, None)

    assert [pod["metadata"]["name"] for pod in aws_node.pods] == before


def test_asks_with_the_labels_that_admission_may_select_by(
    api: Api, aws_node: SmallAwsNode, daemon_set: dict[str, Any]
) -> None:
    seen: list[dict[str, Any]] = []
    aws_node.tamper.do = lambda pod, _: seen.append(pod["metadata"])

    await_webhook(api, daemon_set, None)

    assert seen == [{"labels": {"k8s-app": "aws-node"}, "generateName": "aws-node-dry-run-"}]


def test_asks_again_while_the_webhook_knows_only_the_old_account(
    api: Api, server: SmallCluster, daemon_set: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 20.0)
    known: list[dict[str, str]] = [{}, {ROLE: TWO}]
    server.sees = lambda account: known.pop(0) if known else annotations_of(account)
    give(server, ONE)

    await_webhook(api, daemon_set, ONE)

    assert server.writes == [("POST", PODS)] * 3


@pytest.mark.parametrize(
    ("given", "wanted", "told"),
    [
        (None, ONE, f"must run as {ONE}, got: container aws-node has AWS_ROLE_ARN not set"),
        (TWO, ONE, f"must run as {ONE}, got: container aws-node has AWS_ROLE_ARN {TWO}"),
        (ONE, None, f"must run as no role of its own, got: container aws-node .* {ONE}"),
    ],
)
def test_an_answer_that_stays_wrong_is_told_with_what_to_look_at(
    api: Api, aws_node: SmallAwsNode, given: str | None, wanted: str | None, told: str
) -> None:
    give(aws_node.server, given)

    with pytest.raises(
        NotYetSeen, match=f"{told}; see whether .*kubectl get mutatingwebhookconfiguration"
    ):
        await_webhook(api, aws_node.server.objects[DAEMON_SET], wanted)


def test_a_pod_identity_association_is_told_with_what_deletes_it(
    api: Api, aws_node: SmallAwsNode, daemon_set: dict[str, Any]
) -> None:
    uri = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1"}

    def associate(pod: dict[str, Any], _: str) -> None:
        for container in pod["spec"]["containers"]:
            container["env"] = [uri]

    aws_node.tamper.do = associate

    with pytest.raises(
        NotYetSeen,
        match=r"Pod Identity association .* aws eks delete-pod-identity-association "
        "--cluster-name NAME --association-id ID$",
    ):
        await_webhook(api, daemon_set, ONE)


FULL = (
    'pods "aws-node-dry-run-1" is forbidden: exceeded quota: pods, requested: pods=1,requests.cpu='
    "25m, used: pods=3,requests.cpu=75m, limited: pods=3,requests.cpu=75m"
)


def refused(server: SmallCluster, said: str) -> None:
    reply = refusal(403, "Forbidden", said)

    def trouble(method: str, _path: str) -> Reply | None:
        return reply if method == "POST" else None

    server.trouble = trouble


@pytest.mark.parametrize(
    "said",
    [
        'admission webhook "policy" does not support dry run',
        'pods is forbidden: User "f" cannot create resource "pods" in API group ""',
        FULL,
    ],
)
def test_a_dry_run_that_tells_nothing_of_the_pods_counts_as_seen(
    api: Api, server: SmallCluster, daemon_set: dict[str, Any], said: str
) -> None:
    refused(server, said)

    await_webhook(api, daemon_set, ONE)

    assert server.writes == [("POST", PODS)]


@pytest.mark.parametrize(
    "said",
    [
        'pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces',
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied: no",
        'pods "x" is forbidden: maximum cpu usage per Container is 1m, but limit is 2',
        FULL.replace("limited: pods=3", "limited: pods=2"),
        FULL.replace("limited: pods=3,requests.cpu=75m", "limited: requests.cpu=0.06"),
    ],
)
def test_a_pod_that_is_refused_is_told_before_any_is_restarted(
    api: Api, server: SmallCluster, daemon_set: dict[str, Any], said: str
) -> None:
    """F3, A14."""
    refused(server, said)

    with pytest.raises(ApiError) as told:
        await_webhook(api, daemon_set, ONE)

    assert told.value.said == said


def test_a_quota_that_is_full_is_a_refusal_where_a_pod_comes_before_the_old_one_goes(
    api: Api, server: SmallCluster, daemon_set: dict[str, Any]
) -> None:
    refused(server, FULL)
    daemon_set["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] = 1

    with pytest.raises(ApiError, match="exceeded quota"):
        await_webhook(api, daemon_set, ONE)


def test_leaves_the_webhooks_of_other_api_servers_their_time(
    api: Api, daemon_set: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than an answer may take: it comes on top.
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", 0.3)
    slept: list[float] = []
    monkeypatch.setattr(api.deadline, "sleep", slept.append)

    await_webhook(api, daemon_set, None)

    assert slept == [0.3]


def test_ends_with_the_whole_deadline(
    api: Api, daemon_set: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", api.deadline.seconds)

    with pytest.raises(OutOfTime):
        await_webhook(api, daemon_set, None)
