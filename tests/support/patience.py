"""How long functions bear trouble with the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubernetes_api import connection

if TYPE_CHECKING:
    import pytest


def bear(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Let functions bear trouble for so long, whatever the event: the fields of `Patience`."""
    patience = dict.fromkeys(connection.PATIENCE, connection.Patience(*seconds))
    monkeypatch.setattr(connection, "PATIENCE", patience)
