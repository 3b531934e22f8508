"""Fixtures for the functions that speak to Kubernetes: a small API server, the layer's kubectl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubernetes_api import connection, restart
from service_accounts import consumers, namespaces
from tests.support.api_server import ApiServer
from tests.support.kubectl import layer_kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that the functions reach, with little patience."""
    monkeypatch.setenv("KUBECTL", str(layer_kubectl()))
    monkeypatch.setattr(connection, "PATIENCE", connection.Patience(10.0, 1.5, 0.5))
    monkeypatch.setattr(connection, "eks_token", lambda _: "token")
    monkeypatch.setattr(restart, "WEBHOOK_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(restart, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "_BUDGET_POLL_SECONDS", 0.05)
    monkeypatch.setattr(namespaces, "_TERMINATING_POLL_SECONDS", 0.05)
    with ApiServer() as running:
        yield running
