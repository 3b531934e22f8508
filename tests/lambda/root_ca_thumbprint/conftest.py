from __future__ import annotations

import socket

import pytest

from tests.support.tls_servers import Resolver


@pytest.fixture
def resolver(monkeypatch):
    stand_in = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", stand_in)
    return stand_in
