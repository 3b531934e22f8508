"""Trouble with a real API server: each kind ends in time, with one clear reason, and undone.

What a real one does not do on demand, such as 429, is in tests/lambda/kubernetes_api.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from custom_resource import Failure
from kubernetes_api import connection
from service_accounts import on_event
from tests.support.binder import ONE, ROLE, TWO, account, run
from tests.support.patience import bear

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.rehearsed import Rehearsed

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@contextlib.contextmanager
def _webhook(cluster: Rehearsed, namespace: str, seconds: float = 0.0) -> Iterator[None]:
    """A webhook that denies an account named `denied`, after a while."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = review["request"]
            time.sleep(seconds)
            response = {"uid": asked["uid"], "allowed": asked["name"] != "denied"}
            response["status"] = {"message": "roles are given by the platform team"}
            body = json.dumps({**review, "request": None, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((cluster.plane.address, 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.socket = cluster.plane.server_context().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    rule = {
        "operations": ["CREATE", "UPDATE"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["serviceaccounts"],
    }
    webhook = {
        "name": "roles.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 1,
        "clientConfig": {
            "url": f"https://{cluster.plane.address}:{server.server_port}/",
            "caBundle": cluster.plane.certificate_authority_data,
        },
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
    }
    made = cluster.admin.create(
        WEBHOOKS,
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [webhook],
        },
    )
    time.sleep(1.0)  # the API server takes a moment to see it
    try:
        yield
    finally:
        cluster.admin.delete(f"{WEBHOOKS}/{namespace}", uid=made["metadata"]["uid"])
        server.shutdown()
        server.server_close()


def test_a_webhook_that_denies_has_the_last_word_and_the_rest_is_undone(
    cluster: Rehearsed,
) -> None:
    namespace = cluster.namespace("trouble")
    asked = {**account(f"{namespace}/api"), **account(f"{namespace}/denied")}

    with (
        _webhook(cluster, namespace),
        pytest.raises(Failure, match=r"denied the request: roles are given by the platform team"),
    ):
        run(cluster.connection, "Create", asked)

    assert cluster.account(f"{namespace}/api") is None


def test_a_webhook_that_hangs_ends_in_time(cluster: Rehearsed) -> None:
    namespace = cluster.namespace("trouble")
    began = time.monotonic()

    with (
        _webhook(cluster, namespace, seconds=3.0),
        pytest.raises(Failure, match=r"failed calling webhook .*roles\.example\.com"),
    ):
        run(cluster.connection, "Create", account(f"{namespace}/api"))

    assert time.monotonic() - began < 20


def test_a_token_that_does_not_count_names_the_access_entry(
    cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "eks_token", lambda _: "k8s-aws-v1.expired")

    with pytest.raises(Failure, match=r"401 Unauthorized.*access entry"):
        run(cluster.connection, "Create", account("apps/api"))


def test_a_token_that_expires_on_the_way_is_signed_anew(
    cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = cluster.namespace("trouble")
    tokens = ["k8s-aws-v1.expired", cluster.tokens["functions"]]
    monkeypatch.setattr(connection, "eks_token", lambda _: tokens.pop(0))

    run(cluster.connection, "Create", account(f"{namespace}/api"))

    assert cluster.account(f"{namespace}/api")


def test_a_server_that_does_not_answer_is_given_up(
    cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bear(monkeypatch, 1.0, 2.0, 1.0)
    began = time.monotonic()

    with _stopped(_api_server_of(cluster)), pytest.raises(Failure, match="no answer"):
        run(cluster.connection, "Create", account("apps/api"))

    assert time.monotonic() - began < 20


def test_a_server_that_answers_late_is_waited_for(cluster: Rehearsed) -> None:
    namespace = cluster.namespace("trouble")
    process = _api_server_of(cluster)
    os.kill(process, signal.SIGSTOP)
    threading.Timer(2.0, os.kill, (process, signal.SIGCONT)).start()

    run(cluster.connection, "Create", account(f"{namespace}/api"))

    assert cluster.account(f"{namespace}/api")


def test_an_unreachable_cluster_on_delete_says_what_to_do(
    cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_event, "is_gone", lambda _: False)
    down = {**cluster.connection, "Endpoint": "https://127.0.0.1:1"}

    with pytest.raises(Failure, match=r"connection refused.*then delete again.*retain Batch0"):
        run(down, "Delete", account("apps/api"))


def test_an_object_that_others_write_all_the_time_is_bound_nevertheless(
    cluster: Rehearsed,
) -> None:
    key = f"{cluster.namespace('trouble')}/api"
    run(cluster.connection, "Create", account(key))
    stop = threading.Event()

    def write() -> None:
        for n in range(1000):
            if stop.wait(0.02):
                return
            value = json.dumps({"metadata": {"labels": {"written": str(n)}}})
            namespace, _, name = key.partition("/")
            cluster.plane.run_kubectl(
                "patch", "--namespace", namespace, "serviceaccount", name, "--patch", value
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for role, before in [(TWO, ONE), (ONE, TWO)] * 5:
            run(cluster.connection, "Update", account(key, role=role), account(key, role=before))
    finally:
        stop.set()
        writer.join()

    found = cluster.account(key)
    assert found
    assert found["metadata"]["annotations"][ROLE] == ONE
    assert "written" in found["metadata"]["labels"]


@contextlib.contextmanager
def _stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def _api_server_of(cluster: Rehearsed) -> int:
    """The process of this run's API server: a child of ours."""
    children = Path("/proc/self/task").glob("*/children")
    for child in " ".join(path.read_text() for path in children).split():
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if Path(command[0]).name == "kube-apiserver" and any(
            str(cluster.plane.folder) in flag for flag in command
        ):
            return int(child)
    raise AssertionError("no API server runs")
