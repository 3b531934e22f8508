import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netfilter.eks_node import EksNode, missing_tools


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """The lab needs root and real tools; in CI it must have them."""
    missing = missing_tools()
    if missing:
        reason = f"the netfilter lab lacks {', '.join(missing)}; run: make install-netfilter-tools"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[EksNode]:
    with EksNode(tmp_path) as node:
        yield node
