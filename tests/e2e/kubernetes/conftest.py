"""Control planes of the oldest and the newest Kubernetes, and the functions' identity there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from rehearsal.kubernetes import control_plane
from tests.support.rehearsed import Rehearsed, create_identities, rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.kubernetes import Cluster as ControlPlane

MINORS = os.environ.get("KUBERNETES_MINORS", "1.29 1.36").split()


# Not for the session: a control plane that nobody asks any more takes time from the others.
@pytest.fixture(scope="package", params=MINORS)
def plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("kubernetes") / "run"
    with control_plane(folder, minor=request.param, nodes=["node-1"], audit=True) as running:
        yield running


@pytest.fixture(scope="package")
def _tokens(plane: ControlPlane) -> dict[str, str]:
    return create_identities(plane)


@pytest.fixture
def cluster(
    plane: ControlPlane, _tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rehearsed]:
    """The cluster; what the functions sign in with is a token of their own there."""
    with rehearsed(plane, _tokens, monkeypatch) as cluster:
        yield cluster
