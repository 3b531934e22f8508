"""What is asked of EKS and STS: the token, and whether a cluster exists."""

from __future__ import annotations

import base64
import urllib.parse
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from kubernetes_api import cluster_existence
from kubernetes_api.cluster import Cluster
from kubernetes_api.cluster_existence import is_gone
from kubernetes_api.eks_token import eks_token

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTER = Cluster("payments", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", "")


@pytest.fixture(autouse=True)
def _somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def _url(region: str | None = None) -> urllib.parse.SplitResult:
    encoded = eks_token("payments", region).removeprefix("k8s-aws-v1.")
    assert "=" not in encoded
    decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return urllib.parse.urlsplit(decoded)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        (None, "sts.eu-west-1.amazonaws.com"),
        ("us-east-1", "sts.us-east-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_token_is_signed_for_the_regional_sts(region: str | None, host: str) -> None:
    assert _url(region).netloc == host


def test_the_token_is_signed_for_one_cluster_and_a_minute() -> None:
    query = dict(urllib.parse.parse_qsl(_url().query))

    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert query["X-Amz-Expires"] == "60"
    assert query["X-Amz-Security-Token"] == "session"


@pytest.fixture
def eks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("eks", region_name="eu-west-1")
    monkeypatch.setattr(cluster_existence.boto3, "client", lambda *_, **__: client)
    with Stubber(client) as stubber:
        yield stubber


@pytest.mark.parametrize(
    ("found", "gone"),
    [
        ({"status": "ACTIVE", "endpoint": CLUSTER.endpoint}, False),
        ({"status": "DELETING", "endpoint": CLUSTER.endpoint}, True),
        ({"status": "ACTIVE", "endpoint": "https://NEW.eks.amazonaws.com"}, True),
    ],
)
def test_a_cluster_is_gone_when_eks_says_so(
    eks: Stubber,
    found: dict[str, Any],
    gone: bool,  # noqa: FBT001
) -> None:
    eks.add_response("describe_cluster", {"cluster": found}, {"name": "payments"})

    assert is_gone(CLUSTER) is gone


@pytest.mark.parametrize(
    ("code", "gone"), [("ResourceNotFoundException", True), ("AccessDeniedException", False)]
)
def test_a_refusal_is_not_an_absence(
    eks: Stubber,
    code: str,
    gone: bool,  # noqa: FBT001
) -> None:
    eks.add_client_error("describe_cluster", code)

    assert is_gone(CLUSTER) is gone


def test_an_unreachable_eks_is_not_an_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://eks.eu-west-1.amazonaws.com")

    monkeypatch.setattr(cluster_existence.boto3, "client", unreachable)

    assert not is_gone(CLUSTER)
