"""Trouble with the API server: each kind ends in time, with one clear reason."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from custom_resource import Deadline, Failure
from kubernetes_api import connection
from kubernetes_api.cluster import Cluster
from kubernetes_api.connection import Api, ApiError, Conflict, Unreachable
from tests.support.api_server import ApiServer, Reply, refusal
from tests.support.patience import bear

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH = "/api/v1/namespaces/apps/serviceaccounts/api"
BODY = {"metadata": {"annotations": {"k": "v"}}}


def _api(server: ApiServer, seconds: float = 20.0) -> Api:
    return Api(Cluster.from_properties({"Cluster": server.connection}), Deadline(seconds))


def _once(reply: Reply) -> Callable[[str, str], Reply | None]:
    replies = [reply]
    return lambda _method, _path: replies.pop() if replies else None


@pytest.mark.parametrize(
    "reply",
    [
        refusal(429, "TooManyRequests", "too many requests", Retry_After="0"),
        refusal(500, "InternalError", "etcdserver: request timed out"),
        refusal(503, "ServiceUnavailable", "apiserver not ready"),
        Reply(502, "bad gateway"),
        refusal(401, "Unauthorized", "Unauthorized"),
        refusal(403, "Forbidden", "not yet"),
    ],
    ids=lambda reply: str(reply.status),
)
def test_asks_again_while_the_trouble_may_pass(server: ApiServer, reply: Reply) -> None:
    server.put(PATH, {})
    server.trouble = _once(reply)

    with _api(server) as api:
        assert api.get(PATH)


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (refusal(429, "TooManyRequests", "slow down"), ApiError, "slow down.*429 TooManyRequests"),
        (
            refusal(500, "InternalError", "failed calling webhook"),
            ApiError,
            "failed calling webhook",
        ),
        (Reply(502, "no upstream"), Unreachable, "no upstream.*check that the cluster is up"),
        (refusal(401, "Unauthorized", "Unauthorized"), ApiError, "401.*access entry"),
        (
            refusal(403, "Forbidden", 'User "f" cannot get resource'),
            ApiError,
            "cannot get resource.*403.*access entry",
        ),
        (refusal(400, "BadRequest", "what?"), ApiError, "what.*400 BadRequest"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_trouble_that_stays_ends_in_time_and_in_kubernetes_own_words(
    server: ApiServer, reply: Reply, error: type[Failure], told: str
) -> None:
    server.trouble = lambda _method, _path: reply
    began = time.monotonic()

    with _api(server) as api, pytest.raises(error, match=told):
        api.get(PATH)

    assert time.monotonic() - began < 15


def test_a_write_that_a_webhook_denies_is_not_asked_again(server: ApiServer) -> None:
    server.put(PATH, {})
    denied = refusal(403, "Forbidden", 'admission webhook "x" denied the request: no')
    server.trouble = lambda method, _path: denied if method == "PATCH" else None

    with _api(server) as api, pytest.raises(ApiError, match="denied the request"):
        api.merge(PATH, BODY)

    assert server.writes == [("PATCH", PATH)]


def test_a_server_that_hangs_is_given_up(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bear(monkeypatch, 0.3, 1.0, 0.5)

    def hang(_method: str, _path: str) -> None:
        time.sleep(3)

    server.trouble = hang

    with _api(server) as api, pytest.raises(Unreachable, match="no answer"):
        api.get(PATH)


def test_a_server_that_is_down_is_told_with_what_to_check(server: ApiServer) -> None:
    down = {**server.connection, "Endpoint": "https://127.0.0.1:1"}
    cluster = Cluster.from_properties({"Cluster": down})

    with (
        Api(cluster, Deadline(20)) as api,
        pytest.raises(Unreachable, match=r"connection refused.*security group"),
    ):
        api.get(PATH)


def test_a_wrong_certificate_authority_is_not_asked_again(server: ApiServer) -> None:
    with ApiServer() as other:
        wrong = {**server.connection, "Endpoint": other.connection["Endpoint"]}

        with (
            Api(Cluster.from_properties({"Cluster": wrong}), Deadline(20)) as api,
            pytest.raises(Unreachable, match="x509"),
        ):
            api.get(PATH)

    assert len(other.requests) == 0


def test_signs_in_again_when_the_token_has_expired(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = ["old", "new"]
    monkeypatch.setattr(connection, "eks_token", lambda _: tokens.pop(0))
    server.put(PATH, {})
    server.trouble = _once(refusal(401, "Unauthorized", "Unauthorized"))

    with _api(server) as api:
        api.get(PATH)

    assert server.tokens == ["Bearer old", "Bearer new"]


def test_the_deadline_ends_it_before_patience_does(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bear(monkeypatch)
    server.trouble = lambda _method, _path: refusal(503, "ServiceUnavailable", "no")

    with _api(server, 1.5) as api, pytest.raises(Failure, match="must end within"):
        api.get(PATH)


def test_a_list_is_read_page_by_page(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_PAGE", 2)
    for n in range(5):
        server.put(f"{PATH}-{n}", {})

    with _api(server) as api:
        assert len(list(api.list(PATH.rpartition("/")[0]))) == 5

    assert len(server.requests) == 3


def test_an_object_that_is_not_there_is_none(server: ApiServer) -> None:
    with _api(server) as api:
        assert api.get(PATH) is None


def test_a_change_between_is_a_conflict(server: ApiServer) -> None:
    server.put(PATH, {})

    with _api(server) as api, pytest.raises(Conflict):
        api.merge(PATH, {"metadata": {"resourceVersion": "0", "labels": {"a": "b"}}})


def test_deleting_what_is_gone_is_success(server: ApiServer) -> None:
    with _api(server) as api:
        api.delete(PATH, uid="any")


def test_a_delete_that_is_refused_is_told(server: ApiServer) -> None:
    server.put(PATH, {})

    with _api(server) as api, pytest.raises(Conflict):
        api.delete(PATH, uid="another")


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), (b"", "Exec format|Permission")]
)
def test_a_kubectl_that_is_missing_or_of_another_machine_is_told(
    server: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: bytes | None,
    told: str,
) -> None:
    kubectl = tmp_path / "kubectl"
    if content is not None:
        kubectl.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
        kubectl.chmod(0o755)
    monkeypatch.setenv("KUBECTL", str(kubectl))

    with pytest.raises(Failure, match=rf"kubectl must be an executable at .*({told}).*layer"):
        _api(server)


def test_a_kubectl_that_stops_is_told_with_its_words(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("KUBECTL", str(kubectl))

    with pytest.raises(Failure, match="not today"):
        _api(server)


def test_leaves_no_process_and_no_file(server: ApiServer) -> None:
    with _api(server) as api:
        directory, process = api._proxy._directory, api._proxy._process
        assert (directory / "kubeconfig").stat().st_mode & 0o777 == 0o600
        assert directory.stat().st_mode & 0o777 == 0o700

    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_kubectl_that_dies_is_started_again(server: ApiServer) -> None:
    """F6, A36."""
    server.put(PATH, {})

    with _api(server) as api:
        api.get(PATH)
        api._proxy._process.kill()
        api._proxy._process.wait()

        assert api.get(PATH)


def test_a_kubectl_that_dies_each_time_is_told_and_the_next_request_starts_it_again(
    server: ApiServer,
) -> None:
    """F6: undoing is such a next request."""
    server.put(PATH, {})

    with _api(server) as api:
        victim = api
        left = [2]

        def kill(_method: str, _path: str) -> Reply | None:
            if left[0]:
                left[0] -= 1
                victim._proxy._process.kill()
                victim._proxy._process.wait()
                return Reply(200, "{}")
            return None

        server.trouble = kill
        with pytest.raises(Failure, match="kubectl must keep running, got it ended twice with"):
            api.get(PATH)

        assert api.get(PATH)


@pytest.mark.parametrize("part", ["Endpoint", "CertificateAuthorityData"])
def test_no_token_goes_to_an_endpoint_that_eks_does_not_name(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    asked: list[str] = []

    def refuse(cluster: Cluster) -> str:
        raise Failure(f"Cluster.{part} must be the one that EKS names for {cluster.name}")

    monkeypatch.setattr(connection, "confirm_endpoint", refuse)
    monkeypatch.setattr(connection, "eks_token", asked.append)

    with pytest.raises(Failure, match="that EKS names"):
        _api(server)

    assert asked == []
    assert server.requests == []
