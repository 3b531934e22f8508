"""The dry run that asks the pod identity webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_node import webhook
from aws_node.webhook import NotYetSeen, await_webhook
from custom_resource import OutOfTime
from kubernetes_api import restart
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


def test_a_dry_run_that_is_refused_counts_as_seen(
    api: Api, server: SmallCluster, daemon_set: dict[str, Any]
) -> None:
    denied = refusal(403, "Forbidden", 'admission webhook "policy" does not support dry run')

    def trouble(method: str, _path: str) -> Reply | None:
        return denied if method == "POST" else None

    server.trouble = trouble

    await_webhook(api, daemon_set, ONE)

    assert server.writes == [("POST", PODS)]


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
