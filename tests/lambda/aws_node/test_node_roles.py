"""The three IAM calls, as botocore sends them."""

from __future__ import annotations

import pytest

from aws_node.node_roles import NodeRoles, iam_client
from custom_resource import Failure
from tests.support.iam_recorder import CNI_POLICY


@pytest.fixture(autouse=True)
def _somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")


def test_a_client_retries_within_bounds() -> None:
    config = iam_client().meta.config

    assert config.retries["total_max_attempts"] == 6
    assert config.connect_timeout == 5


def test_iam_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("aws_node.node_roles._PATIENT", None)

    with pytest.raises(Failure, match="could not list the policies of the node role nodes"):
        NodeRoles().attached("nodes", [CNI_POLICY])
